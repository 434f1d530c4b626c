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
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal

from lstm_jax.learners._forward.chosen_places import results_anywhere
from lstm_jax.learners._forward.spoiled import Value, bound, is_spoiled, spoil
from lstm_jax.types import Array

# Programs that are called within another as they are, and where they stand.
_CALLS = (
  'jit', 'pjit', 'closed_call', 'core_call', 'remat', 'remat2', 'checkpoint',
)  # fmt: skip
_PLACES = 'jaxpr', 'call_jaxpr', 'fun_jaxpr'
# Functions with a derivative of their own, which may be there where the value
# has none: that of a spike.
_CUSTOM = 'custom_jvp_call', 'custom_vjp_call', 'custom_vjp_call_jaxpr'
# What changes places with its neighbours, and loops that may end at once.
_MIXES = 'sort', 'top_k', 'approx_top_k', 'while'
# Where the compiler may take the other operand, or 0, for what is none: of
# `x * (x > 0)` it makes a choice.
_HIDES = 'mul', 'pow', 'max', 'min', 'clamp'

Arrays = Sequence[Array]


def follow(
  program: ClosedJaxpr, clean: Arrays, spoiled: Arrays
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
  pairs = zip(clean, spoiled, strict=True)
  ends = _ends(program, [Value(*pair, is_fixed=False) for pair in pairs])
  return [end.clean for end in ends], [end.spoiled for end in ends]


def _ends(program, arguments):
  """The results of a program, a `Value` each."""
  values: dict[object, Value] = {}

  def read(atom):
    if isinstance(atom, Literal):
      return Value(atom.val, atom.val, is_fixed=True)
    return values[atom]

  inner = program.jaxpr
  consts = [Value(const, const, is_fixed=True) for const in program.consts]
  # Constants come first, by a name of their own or, from jax 0.12 on, among
  # the arguments.
  variables = [*inner.constvars, *inner.invars]
  values.update(zip(variables, [*consts, *arguments], strict=True))
  for equation in inner.eqns:
    operands = [read(atom) for atom in equation.invars]
    is_fixed = all(operand.is_fixed for operand in operands)
    results = _results(inner, equation, operands)
    for variable, one, other in zip(equation.outvars, *results, strict=True):
      # Choices are those of the clean values.
      is_number = jnp.issubdtype(jnp.result_type(one), jnp.inexact)
      values[variable] = Value(one, other if is_number else one, is_fixed)
  return [read(atom) for atom in inner.outvars]


def _fixed_ends(program, is_fixed):
  """Marks results of a program that follow from fixed arguments alone."""
  moves = {
    variable
    for variable, fixed in zip(program.invars, is_fixed, strict=True)
    if not fixed
  }
  for equation in program.eqns:
    variables = [v for v in equation.invars if not isinstance(v, Literal)]
    if any(variable in moves for variable in variables):
      moves.update(equation.outvars)
  return [
    isinstance(end, Literal) or end not in moves for end in program.outvars
  ]


def _results(program: Jaxpr, equation: JaxprEqn, operands):
  """`(clean, spoiled)` of one equation."""
  name = equation.primitive.name
  if name == 'select_n':
    return _chosen(program, equation, operands)
  if name == 'scan':
    return _scanned(equation, operands)
  if name == 'cond':
    return _branched(program, equation, operands)
  anywhere = results_anywhere(program, equation, operands)
  if anywhere is not None:
    return anywhere
  clean = [operand.clean for operand in operands]
  if name in _MIXES:
    # Not on the spoiled, of which a loop might see no end.
    before = bound(program, equation, clean)
    return before, [
      spoil(one, _reaching(one, operands, is_elementwise=False))
      for one in before
    ]
  inner = _inner(equation) if name in (*_CALLS, *_CUSTOM) else None
  if inner is not None:
    ends = _ends(inner, operands)
    before, after = ([end[i] for end in ends] for i in (0, 1))
  else:
    spoiled = [operand.spoiled for operand in operands]
    before, after = (
      bound(program, equation, values) for values in (clean, spoiled)
    )
  if name in (*_CUSTOM, *_HIDES):
    after = [
      spoil(one, _reaching(one, operands, is_elementwise=True)) for one in after
    ]
  return before, after


def _inner(equation):
  """The program that an equation calls; None: it names none."""
  for place in _PLACES:
    program = equation.params.get(place)
    if isinstance(program, ClosedJaxpr):
      return program
    if isinstance(program, Jaxpr):
      return ClosedJaxpr(program, ())
  return None


def _reaching(result, operands, is_elementwise):
  """Marks what operands may reach of a result: all, if shapes do not fit."""
  shape = jnp.shape(result)
  where = jnp.zeros(shape, bool)
  for operand in operands:
    of_one, own = is_spoiled(operand), jnp.shape(operand.clean)
    fits = own == () or (
      len(own) == len(shape)
      and all(n in (1, m) for n, m in zip(own, shape, strict=True))
    )
    where |= of_one if is_elementwise and fits else jnp.any(of_one)
  return where


def _chosen(program, equation, operands):
  """Cases of a choice: each counts."""
  (before,) = bound(program, equation, [one.clean for one in operands])
  after = before
  for case in operands[1:]:
    after = spoil(after, is_spoiled(case))
  return [before], [after]


def _branched(program, equation, operands):
  """Branches: each counts."""
  before = bound(program, equation, [one.clean for one in operands])
  after = list(before)
  for branch in equation.params['branches']:
    after = [
      spoil(value, is_spoiled(end))
      for value, end in zip(after, _ends(branch, operands[1:]), strict=True)
    ]
  return before, after


def _scanned(equation, operands):
  """A loop over the rows of arrays, step by step."""
  params = equation.params
  if 'num_carry' in params:
    c, k = params['num_consts'], params['num_carry']
  else:  # from jax 0.12 on
    c, k = (len(part) for part in tuple(params['ft_in'].unpack())[:2])
  is_fixed = [operand.is_fixed for operand in operands]
  # Of the carry stays fixed, as a count of steps, what a step leaves so.
  for _ in range(k):
    after = _fixed_ends(params['jaxpr'].jaxpr, is_fixed)[:k]
    is_fixed[c : c + k] = map(min, is_fixed[c : c + k], after)

  def body(carry, xs):
    arguments = [
      Value(*value)
      for value in zip(
        *([*of[:c], *a, *b] for of, a, b in zip(both, carry, xs, strict=True)),
        is_fixed,
        strict=True,
      )
    ]
    ends = _ends(params['jaxpr'], arguments)
    results = [[end[i] for end in ends] for i in (0, 1)]
    return tuple(e[:k] for e in results), tuple(e[k:] for e in results)

  both = tuple([value[i] for value in operands] for i in (0, 1))
  start = tuple([jnp.asarray(v) for v in of[c : c + k]] for of in both)
  last, rows = jax.lax.scan(
    body, start, tuple(list(of[c + k :]) for of in both),
    length=params['length'], reverse=params['reverse'],
  )  # fmt: skip
  return tuple([*a, *b] for a, b in zip(last, rows, strict=True))
