"""Data of one's own: sequences from a file or a folder, without a builder.

  sequences    the one form that every file is read into, and its checks
  npz_file     the arrays of a `.npz`
  arrays       what they say
  table        `.csv` in long form
  folder       sounds in class folders
  prepared_set what TensorFlow Datasets has prepared
  parts        train, valid, test where the file does not say
  scaling      mean 0 and deviation 1 by the training part
  baselines    predictors without recurrence
  dataset      all of it as a `Dataset`
  given, sounds  factories, whose options are those of `--set=task.NAME`
  fresh        further sequences for a network that was kept

Nothing here imports JAX.
"""
