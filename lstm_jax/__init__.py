"""A laboratory for long time lags in recurrent nets, as pure JAX functions.

  types      the seams: Cell, Task, Learner, Criterion, Sequence, Stream
  unroll     the one scan over time
  draw       random numbers by position
  cells      one file a cell:          srn, lstm1997, lstm, gru, ...
  learners   one file a learning rule: bptt, elman, truncated1997, ...
  tasks      one file a task:          adding, temporal_order, ...
  trial      a learner meets a task until solved or out of budget
  backflow   the error of a sequence's last step, q steps earlier
  lanes      trials side by side on a device
  workers    a plan's trials on all devices
  results    rows of ended trials; `store` is the run folder beneath
  catalog    what cells, learners and tasks there are

Words, each for one thing:

  length     T, the task's length (sequences have T to T + T/10 steps)
  lag        the task's minimal time lag
  window     steps an error travels back
  cut        carry fields that pass no error back from one step to the last
  lane       one trial among those that run side by side
  sequences to success   training sequences shown until the criterion is met
  solved k/n             trials that met it, of all trials

Importing this package imports nothing else: `lstm_jax.lab.plan.catalog` and
`lstm_jax.lab.store.trial_records` answer without JAX.
"""
