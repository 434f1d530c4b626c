"""Follows numbers that are not through a program, whatever it chooses.

What is computed from a nan is nan, however flat the function: so it is seen
what a number has a part in. But a program that chooses hides what it does not
take, and `where(x > 0, x, 0)` takes 0 of an x that is none. Here the program
runs twice side by side, on clean values, which choose, and on spoiled ones;
what any of the cases of a choice would have brought counts.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, jaxpr_as_fun

from lstm_jax.types import Array

# Programs that are called within another as they are, and where they stand.
_CALLS = (
  'jit', 'pjit', 'closed_call', 'core_call', 'remat', 'remat2', 'checkpoint',
)  # fmt: skip
_PLACES = 'jaxpr', 'call_jaxpr', 'fun_jaxpr'
# Functions with a derivative of their own, which may be there where the value
# has none: that of a spike.
_CUSTOM = 'custom_jvp_call', 'custom_vjp_call', 'custom_vjp_call_jaxpr'
# What changes places with its neighbours.
_SORTS = 'sort', 'top_k', 'approx_top_k'

Values = Sequence[Array]


def follow(
  program: ClosedJaxpr, clean: Values, spoiled: Values
) -> tuple[list[Array], list[Array]]:
  """The results of a program on clean values and on spoiled ones.

  Args:
    program: of `jax.make_jaxpr`.
    clean: its arguments.
    spoiled: the same, some of them nan.

  Returns:
    `(clean, spoiled)`: a result is nan among the spoiled where a nan of the
    arguments has a part in it, or might, had other cases been chosen.
  """
  values: dict[object, tuple[Array, Array]] = {}

  def read(atom):
    if isinstance(atom, Literal):
      return atom.val, atom.val
    return values[atom]

  inner = program.jaxpr
  values.update(
    zip(inner.constvars, zip(program.consts, program.consts, strict=True),
        strict=True)
  )  # fmt: skip
  values.update(
    zip(inner.invars, zip(clean, spoiled, strict=True), strict=True)
  )
  for equation in inner.eqns:
    pairs = [read(atom) for atom in equation.invars]
    before, after = ([pair[i] for pair in pairs] for i in (0, 1))
    results = _results(inner, equation, before, after)
    for variable, one, other in zip(equation.outvars, *results, strict=True):
      # Choices are those of the clean values.
      is_number = jnp.issubdtype(jnp.result_type(one), jnp.inexact)
      values[variable] = one, other if is_number else one
  ends = [read(atom) for atom in inner.outvars]
  return [one for one, _ in ends], [other for _, other in ends]


def _results(program: Jaxpr, equation: JaxprEqn, clean, spoiled):
  """`(clean, spoiled)` of one equation."""
  name = equation.primitive.name
  if name == 'select_n':
    return _chosen(program, equation, clean, spoiled)
  if name == 'scan':
    return _scanned(equation, clean, spoiled)
  if name == 'cond':
    return _branched(program, equation, clean, spoiled)
  inner = _inner(equation) if name in (*_CALLS, *_CUSTOM) else None
  if inner is not None:
    results = follow(inner, clean, spoiled)
  else:
    results = (
      _bound(program, equation, clean),
      _bound(program, equation, spoiled),
    )
  if name in _CUSTOM or name in _SORTS:
    before, after = results
    return before, [
      _spoil(one, _reaching(other, clean, spoiled, name in _CUSTOM))
      for one, other in zip(after, before, strict=True)
    ]
  return results


def _bound(program, equation, values):
  """The results of an equation of a program on some values."""
  values_by_variable = {
    atom: value
    for atom, value in zip(equation.invars, values, strict=True)
    if not isinstance(atom, Literal)
  }
  alone = program.replace(
    constvars=[],
    invars=[*values_by_variable],
    eqns=[equation],
    outvars=equation.outvars,
  )
  return jaxpr_as_fun(ClosedJaxpr(alone, ()))(*values_by_variable.values())


def _inner(equation):
  """The program that an equation calls; None: it names none."""
  for place in _PLACES:
    program = equation.params.get(place)
    if isinstance(program, Jaxpr):
      program = ClosedJaxpr(program, ())
    if isinstance(program, ClosedJaxpr):
      return program
  return None


def _is_spoiled(clean, spoiled):
  """Marks the numbers that are none where they were one."""
  if not jnp.issubdtype(jnp.result_type(clean), jnp.inexact):
    return jnp.zeros(jnp.shape(clean), bool)
  return jnp.isnan(spoiled) & ~jnp.isnan(clean)


def _spoil(value, where):
  """A value, nan somewhere; what is no number stays."""
  if not jnp.issubdtype(jnp.result_type(value), jnp.inexact):
    return value
  return jnp.where(where, jnp.nan, value)


def _reaching(result, clean, spoiled, is_elementwise):
  """Marks what arguments may reach of a result: all, if shapes differ."""
  where = jnp.zeros(jnp.shape(result), bool)
  for one, other in zip(clean, spoiled, strict=True):
    of_one = _is_spoiled(one, other)
    is_alike = jnp.shape(one) in ((), jnp.shape(result))
    where |= of_one if is_elementwise and is_alike else jnp.any(of_one)
  return where


def _chosen(program, equation, clean, spoiled):
  """Cases of a choice: each counts."""
  which, *cases = clean
  (before,) = _bound(program, equation, clean)
  (after,) = _bound(program, equation, [which, *spoiled[1:]])
  for one, other in zip(cases, spoiled[1:], strict=True):
    after = _spoil(after, _is_spoiled(one, other))
  return [before], [after]


def _branched(program, equation, clean, spoiled):
  """Branches: each counts."""
  before = _bound(program, equation, clean)
  after = list(before)
  for branch in equation.params['branches']:
    ends = zip(*follow(branch, clean[1:], spoiled[1:]), strict=True)
    after = [
      _spoil(value, _is_spoiled(*pair))
      for value, pair in zip(after, ends, strict=True)
    ]
  return before, after


def _scanned(equation, clean, spoiled):
  """A loop over the rows of arrays, step by step."""
  params = equation.params
  c, k = params['num_consts'], params['num_carry']

  def body(carry, xs):
    ends = follow(
      params['jaxpr'],
      *([*of[:c], *a, *b] for of, a, b in zip(both, carry, xs, strict=True)),
    )
    return tuple(e[:k] for e in ends), tuple(e[k:] for e in ends)

  both = clean, spoiled
  start = tuple([jnp.asarray(v) for v in of[c : c + k]] for of in both)
  last, rows = jax.lax.scan(
    body, start, tuple(list(of[c + k :]) for of in both),
    length=params['length'], reverse=params['reverse'],
  )  # fmt: skip
  return tuple([*a, *b] for a, b in zip(last, rows, strict=True))
