"""A laboratory for long time lags in recurrent networks, as pure JAX functions.

  types      the seams: Cell, Task, Learner, StopRule, Sequence, Stream
  ops        arrays, the one scan over time, random numbers by position
  cells      one file a cell:          srn, lstm1997, lstm, gru, ...
  tasks      one file a task:          adding, temporal_order, ...
  learners   one file a learning rule: bptt, elman, truncated1997, ...
  nn         the recurrent layer: any cell over whole sequences
  training   a learner meets a task until solved or out of budget; minibatches
  analysis   the error of a sequence's last step, q steps earlier
  testing    what a cell, a task and a data set promise
  lab        all that has effects: plans, runs, the store, data, reports

Words, each for one thing:

  length     T, the task's length (sequences have T to T + T/10 steps)
  lag        the task's minimal time lag
  window     steps an error travels back from where it arises
  cut        carry fields that pass no error back from one step to the last
  cut_every  steps between two cuts, counted from where a sequence begins
  lane       one trial among those that run side by side
  sequences to success   training sequences shown until a trial is solved
  solved k/n             trials that were solved, of all trials

Importing this package imports nothing else; of `lab`, plans, the store and
reports answer without JAX.
"""
