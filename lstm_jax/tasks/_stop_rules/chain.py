"""Several stop rules as one."""

import functools
import operator

from lstm_jax.types import StopRule, Verdict


def chain(*rules: StopRule) -> StopRule:
  """Ends a trial when any of the rules does.

  Args:
    rules: in the order in which they are asked; at most one takes sequences of
      its own. A rule is told the next key that those before it have left.

  Returns:
    The stop rule; its state is the tuple of theirs.
  """

  def update(states, evidence):
    updated, verdict = [], Verdict()
    for rule, state in zip(rules, states, strict=True):
      state, rule_verdict = rule.update(state, evidence)
      updated.append(state)
      verdict = Verdict(
        *(a | b for a, b in zip(verdict, rule_verdict, strict=True))
      )
      key = rule.next_key(state, evidence.key, evidence.next_key)
      evidence = evidence._replace(next_key=key)
    return tuple(updated), verdict

  def evaluating(states):
    pairs = zip(rules, states, strict=True)
    return functools.reduce(operator.or_, (r.evaluating(s) for r, s in pairs))

  def next_key(states, key, training):
    for rule, state in zip(rules, states, strict=True):
      training = rule.next_key(state, key, training)
    return training

  def next_episode(states, training, *drawn_from):
    for rule, state in zip(rules, states, strict=True):
      training = rule.next_episode(state, training, *drawn_from)
    return training

  return StopRule(
    lambda lanes, dtype: tuple(rule.init(lanes, dtype) for rule in rules),
    update,
    evaluating,
    next_key,
    next_episode,
  )
