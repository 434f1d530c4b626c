"""Measures how far back learners look in networks, trained and untrained."""

from collections.abc import Mapping

import numpy as np

from lstm_jax.choices import unknown
from lstm_jax.lab.plan import catalog, values
from lstm_jax.lab.plan.programs import length_is_static
from lstm_jax.lab.store.setting import Setting
from lstm_jax.lab.vanishing.curves import Net, curves_of
from lstm_jax.lab.vanishing.nets import TrainedNets
from lstm_jax.ops import prng

# Sequences that each network is measured on.
_SEQUENCES = 4
NO_SIGNAL = {
  'cascade': 'each of its units is trained alone and then left as it is',
  'chunker': 'it has two nets, and the upper one has a clock of its own',
  'guess': 'it draws its weights and follows no error',
}


def choose(names: str) -> tuple[str, ...]:
  """The learners that are asked for.

  Args:
    names: comma-separated names, or 'all'.

  Returns:
    A tuple of names; for 'all' also those that cannot train every cell.

  Raises:
    Refused: a learner that does not exist, or that sends no error back.
  """
  choices = catalog.names('learners')
  if names == 'all':
    return tuple(name for name in choices if name not in NO_SIGNAL)
  learners = values.split(names, '--learners')
  for name in learners:
    if name not in choices:
      raise values.Refused(
        f'--learners={name}: {unknown(name, (*choices, "all"))}'
      )
    if name in NO_SIGNAL:
      raise values.Refused(f'--learners={name}: {NO_SIGNAL[name]}')
  return tuple(learners)


def measure(
  name: str, networks: TrainedNets, settings: Mapping[str, Setting]
) -> Net:
  """The error signals that learners have in the same networks.

  Args:
    name: what the networks are called.
    networks: of `vanishing_nets.train`.
    settings: learner -> its setting on this cell and task.

  Returns:
    A `Net`; what is measured is the learner's name.
  """
  import jax
  import jax.numpy as jnp

  from lstm_jax.analysis import credit

  num_nets = jax.tree.leaves(networks.params)[0].shape[-1]
  num_steps = networks.task.longest(networks.setting.length or 1)
  task = credit.probed(networks.task, num_steps)
  cell = catalog.build(
    'cells',
    networks.setting.cell,
    task.num_inputs,
    task.num_outputs,
    **dict(networks.setting.cell_options),
  )

  def net_of(key, numbers):
    # Its networks are not drawn but given, as the one number that `init` reads.
    return numbers['net']

  cell = cell._replace(init=net_of, numbers={'net': np.zeros(())})
  logs, left_out = {}, []
  with jax.enable_x64(True):  # signals of 1e-200 are numbers
    params = jax.tree.map(lambda w: np.asarray(w, np.float64), networks.params)
    params = credit.widened(params, cell.mask)
    length = jnp.full(num_nets, networks.setting.length or 1, jnp.int32)
    key = prng.Key(*(jnp.full(num_nets, w) for w in prng.key_of(0)))
    keys = jax.random.split(jax.random.key(0), num_nets)
    for learner_name, setting in settings.items():
      options = dict(setting.learner_options)
      if length_is_static(setting):
        options['length'] = setting.length
      # The signal is read from an update, which is to be the gradient itself.
      if 'optimizer' in catalog.describe('learners', setting.learner).options:
        options['optimizer'] = 'sgd'
      try:
        learner = catalog.build(
          'learners', setting.learner, cell, task, **options
        )
      except ValueError as refused:
        left_out.append(str(refused))
        continue
      number_names = catalog.describe('learners', setting.learner).numbers
      given = dict(setting.numbers)
      numbers = {
        n: np.asarray(np.nan if given[n] is None else given[n], np.float64)
        for n in number_names
      }

      def begin(key, net, learner=learner, numbers=numbers):
        return learner.init(key, {'net': net, **numbers})

      state = jax.vmap(begin, in_axes=(0, -1), out_axes=-1)(keys, params)

      @jax.jit
      def sizes(state, key, learner=learner):
        episode = task.fresh(key, length)
        steps = task.stream(episode).length
        return credit.by_lag(learner, state, task, episode, num_steps), steps

      logarithms = []
      for n in range(_SEQUENCES):
        size, steps = sizes(state, prng.fold_in(key, np.full(num_nets, n)))
        shortest = int(np.min(steps))
        with np.errstate(divide='ignore'):
          logarithms.append(np.log10(np.asarray(size)) - np.log10(size[:1]))
      reach = min(shortest, num_steps)
      logs[learner_name] = np.mean(logarithms, axis=0)[:reach]
  summary = f'{name}: learners {", ".join(logs)}'
  return Net(curves_of(logs), '\n'.join([summary, *left_out]))
