"""Files of data sets: read with every fault named, prepared once through TFDS.

  riff, audio   one sound file
  tables        one CSV file
  archives      one tar, read and never unpacked
  faults        what is done about a file that is bad
  published     the data sets as their authors publish them
  sources       where a published data set lies on this machine
  reviews, clips  what of it is used, checked against each other
  builders      TFDS builders, without TensorFlow
  prepared      `load(name)`: prepared if need be, then read

Nothing here imports JAX.
"""
