"""A wrong learner for each promise of learners, and words that are said."""

import jax
import jax.numpy as jnp

import lstm_jax as lj

TASK = lj.adding()
CELL = lj.srn(2, 1, hidden=2, recurrence='self')
RULE = lj.elman(CELL, TASK)


def with_update(change):
  """The rule whose update gives `change(before, after, judgement)`."""

  def update(state, episode):
    return change(state, *RULE.update(state, episode))

  return RULE._replace(update=update)


def other_params(change):
  """The rule whose new params are changed once more."""
  return with_update(
    lambda before, after, judged: (
      after._replace(params=jax.tree.map(change, after.params)),
      judged,
    )
  )


def after_learning(state, episode):
  after, _ = RULE.update(state, episode)
  return after, RULE.judge(after.params, episode)


def is_compiled(w):
  return isinstance(w, jax.core.Tracer)


calls = []


def counted(w):
  calls.append(1)
  return w + len(calls)


def gains_rate(before, after, judged):
  """A rate that grows, so that the next update moves the weights of all."""
  return after._replace(learning_rate=before.learning_rate + 0.1), judged


# Wrong in another way than that of `WRONG`.
FURTHER = {
  'learns': (with_update(gains_rate), '2 updates at a learning rate of 0 chan'),
}
WRONG = {
  'state': (
    with_update(
      lambda before, after, judged: (
        after._replace(learning_rate=after.learning_rate > 0),
        judged,
      )
    ),
    r'update with float32 .* learning_rate is bool',
  ),
  'finite': (
    other_params(lambda w: jnp.log(w - 100)),
    'the state after updates .* no finite numbers',
  ),
  'learns': (
    with_update(lambda before, after, judged: (before, judged)),
    'at a learning rate of 0.5 changes no weight',
  ),
  'mask': (
    other_params(lambda w: w + 0.1),
    'gives w_h a weight where the mask',
  ),
  'judged_first': (
    RULE._replace(update=after_learning),
    'is not that of the outputs before it',
  ),
  'lanes': (
    other_params(lambda w: w + jnp.mean(w) if w.ndim > 2 else w),
    'lanes meet: lane 2 is not what it is alone',
  ),
  'once': (
    with_update(
      lambda before, after, judged: (
        after._replace(learning_rate=jnp.full(before.learning_rate.shape, 0.5)),
        judged,
      )
    ),
    'is compiled again',
  ),
  'compiled': (
    other_params(lambda w: w + 0.1 * is_compiled(w)),
    'compiled it learns something else',
  ),
  'purity': (other_params(counted), 'update is not pure'),
  'keys': (
    RULE._replace(
      init=lambda key, numbers: RULE.init(jax.random.key(0), numbers)
    ),
    'init gives the same weights for every key',
  ),
  'exact': (RULE, 'is not that of the exact gradient'),
}
