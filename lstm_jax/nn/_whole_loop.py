"""Loops that code outside XLA runs whole, as operations that JAX transforms.

Four operations: the loop; the loop that keeps what the backward pass needs;
what the loop changes by in some direction, which is linear and has the backward
pass as its transpose; the backward pass. They are primitives because nothing
less has all that is asked of a layer: a `custom_vjp` has no forward mode, a
`custom_jvp` no backward pass of its own, and a foreign call knows nothing of
the axes of a mesh.

Whether the foreign code runs is decided when a program is lowered. It does not
where XLA spreads one program over several devices (it would hand all of every
array to each of them), in a program for another platform and in one that is
exported, which must run elsewhere: XLA's loop takes its place.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from lstm_jax.nn.native.loops import Inputs, Outputs
from lstm_jax.ops.arrays import same_axes


class Code(NamedTuple):
  """Code that runs a loop, and where. Shapes are those of one network.

  Attributes:
    platform: that of JAX whose programs may hold it.
    nets: whether arrays may have axes in front for networks side by side, of
      the networks' size or of size 1.
    forward: `(cell, reverse, inputs) -> Outputs`.
    keeps: `(cell, inputs) -> shapes` of what the backward pass needs besides
      the inputs and ys, a tuple.
    forward_kept: `(cell, reverse, inputs) -> (Outputs, kept)`.
    backward: `(cell, reverse, with_xs, inputs, ys, kept, cotangents) ->
      gradient`, an `Inputs` without lengths, and without xs where they are not
      wanted.
  """

  platform: str
  nets: bool
  forward: Callable[..., Outputs]
  keeps: Callable[..., tuple[jax.ShapeDtypeStruct, ...]]
  forward_kept: Callable[..., tuple[Outputs, tuple[jax.Array, ...]]]
  backward: Callable[..., Inputs]


class Plan(NamedTuple):
  """The loop to run.

  Attributes:
    code: a `Code`.
    cell: one of `native.loops.CELLS`.
    reverse: whether steps are taken from the last to the first.
    by_xla: the same function of `Inputs` in JAX.
  """

  code: Code
  cell: str
  reverse: bool
  by_xla: Callable[[Inputs], Outputs]


def loop(plan: Plan, inputs: Inputs) -> Outputs:
  """All steps of a layer, for arrays of one dtype.

  Arrays whose types say how they are spread over a mesh with explicit axes are
  left to XLA.
  """
  if any(any(jax.typeof(a).sharding.spec) for a in inputs):
    return plan.by_xla(inputs)
  return Outputs(*_bind(_loop, inputs, plan=plan))


# Axes of each array of one network.
_INPUTS = (2, 2, 1, 3, 2, 2, 1)
_OUTPUTS = (3, 2, 2)


def _bind(primitive, arrays, **params):
  """Calls a primitive with arrays that agree in the axes that they vary over.

  Weights that all devices share meet a device's own sequences under
  `jax.shard_map`; where they are cast, the backward pass sums their cotangents.
  """
  return primitive.bind(*same_axes(tuple(arrays)), **params)


def _nets(arrays, axes):
  """Sizes of the axes in front, for arrays with so many of one network."""
  return jnp.broadcast_shapes(
    *(
      a.shape[: a.ndim - num_axes]
      for a, num_axes in zip(arrays, axes, strict=True)
    )
  )


def _one_net(arrays, axes):
  """Shapes of one network's part of arrays."""
  return [
    jax.ShapeDtypeStruct(a.shape[a.ndim - num_axes :], a.dtype)
    for a, num_axes in zip(arrays, axes, strict=True)
  ]


def _over_nets(function, arrays, axes):
  """`function` of one network's arrays, mapped over the axes in front."""
  if arrays[0].ndim == axes[0]:
    return function(*arrays)
  inner = lambda *arrays: _over_nets(function, arrays, axes)
  shared = [a.shape[0] == 1 for a in arrays]
  arguments = [a[0] if s else a for a, s in zip(arrays, shared, strict=True)]
  if all(shared):
    return jax.tree.map(lambda a: a[None], inner(*arguments))
  return jax.vmap(inner, [None if s else 0 for s in shared])(*arguments)


def _kept_shapes(plan, inputs):
  one_net = Inputs(*_one_net(inputs, _INPUTS))
  return tuple(plan.code.keeps(plan.cell, one_net))


def _split(arrays, plan, others_after=()):
  """Arguments in their groups: inputs, ys, kept, and what else there is."""
  inputs, others = arrays[: len(_INPUTS)], arrays[len(_INPUTS) :]
  end = 1 + len(_kept_shapes(plan, inputs))
  return Inputs(*inputs), others[0], others[1:end], others[end:]


def _axes(plan, arrays, other_axes):
  """Axes of one network of inputs, ys, what is kept and other arrays."""
  shapes = _kept_shapes(plan, arrays[: len(_INPUTS)])
  return (*_INPUTS, _OUTPUTS[0], *(len(a.shape) for a in shapes), *other_axes)


def _changing(with_xs):
  """Axes of the inputs that may change, in their order."""
  return tuple(
    num_axes
    for name, num_axes in zip(Inputs._fields, _INPUTS, strict=True)
    if name != 'lengths' and (with_xs or name != 'xs')
  )


def _changes(inputs, changes, with_xs):
  """A tangent of `Inputs` without lengths."""
  fields = [f for f in Inputs._fields if f != 'lengths']
  if not with_xs:
    fields.remove('xs')
  tangents = dict(zip(fields, changes, strict=True))
  tangents.setdefault('xs', jnp.zeros_like(inputs.xs))
  return Inputs(**tangents, lengths=None)


def _without_lengths(plain, lengths):
  """`plain` as a function of what can change."""
  return lambda inputs: plain(inputs._replace(lengths=lengths))


# By XLA, for one network.


def _loop_by_xla(*arrays, plan):
  return tuple(plan.by_xla(Inputs(*arrays)))


def _kept_by_xla(*arrays, plan):
  # What is kept is for foreign code; XLA's backward pass begins from nothing.
  zeros = (jnp.zeros(a.shape, a.dtype) for a in _kept_shapes(plan, arrays))
  return (*plan.by_xla(Inputs(*arrays)), *zeros)


def _change_by_xla(*arrays, plan, with_xs):
  inputs, _, _, changes = _split(arrays, plan)
  function = _without_lengths(plan.by_xla, inputs.lengths)
  changes = _changes(inputs, changes, with_xs)
  return tuple(
    jax.jvp(function, (inputs._replace(lengths=None),), (changes,))[1]
  )


def _bwd_by_xla(*arrays, plan, with_xs):
  inputs, _, _, cotangents = _split(arrays, plan)
  function = _without_lengths(plan.by_xla, inputs.lengths)
  _, pullback = jax.vjp(function, inputs._replace(lengths=None))
  return _listed(pullback(Outputs(*cotangents))[0], with_xs)


def _listed(gradient, with_xs):
  """The arrays of a gradient that are asked for."""
  return tuple(
    a
    for name, a in gradient._asdict().items()
    if name != 'lengths' and (with_xs or name != 'xs')
  )


# By foreign code, for nets side by side.


def _loop_by_code(*arrays, plan):
  inputs = Inputs(*arrays)
  return tuple(plan.code.forward(plan.cell, plan.reverse, inputs))


def _kept_by_code(*arrays, plan):
  inputs = Inputs(*arrays)
  outputs, arrays_kept = plan.code.forward_kept(plan.cell, plan.reverse, inputs)
  return (*outputs, *arrays_kept)


def _bwd_by_code(*arrays, plan, with_xs):
  inputs, ys, arrays_kept, cotangents = _split(arrays, plan)
  gradient = plan.code.backward(
    plan.cell,
    plan.reverse,
    with_xs,
    inputs,
    ys,
    arrays_kept,
    Outputs(*cotangents),
  )
  return _listed(gradient, with_xs)


# Shapes of one net's results.


def _made_shapes(arrays):
  _, _, _, xs, h_0, _, _ = _one_net(arrays[: len(_INPUTS)], _INPUTS)
  return [(*xs.shape[:2], h_0.shape[-1]), h_0.shape, h_0.shape]


def _loop_shapes(*arrays, plan):
  return _made_shapes(arrays)


def _kept_all_shapes(*arrays, plan):
  shapes = _kept_shapes(plan, arrays)
  return _made_shapes(arrays) + [a.shape for a in shapes]


def _change_shapes(*arrays, plan, with_xs):
  return _made_shapes(arrays)


def _bwd_shapes(*arrays, plan, with_xs):
  shapes = Inputs(*_one_net(arrays[: len(_INPUTS)], _INPUTS))
  return [a.shape for a in _listed(shapes, with_xs)]


def _loop_axes(arrays, plan):
  return _INPUTS


def _change_axes(arrays, plan, with_xs):
  return _axes(plan, arrays, _changing(with_xs))


def _bwd_axes(arrays, plan, with_xs):
  return _axes(plan, arrays, _OUTPUTS)


# Rules of differentiation.


def _loop_jvp(primals, tangents, *, plan):
  outputs, arrays_kept, changes = _jvp(primals, tangents, plan)
  del arrays_kept
  return outputs, changes


def _kept_jvp(primals, tangents, *, plan):
  outputs, arrays_kept, changes = _jvp(primals, tangents, plan)
  # A function of the inputs alone; derivatives of what reads it count them.
  zeros = [ad.Zero(jax.typeof(a).to_tangent_aval()) for a in arrays_kept]
  return [*outputs, *arrays_kept], [*changes, *zeros]


def _jvp(primals, tangents, plan):
  results = _bind(_kept, primals, plan=plan)
  outputs, arrays_kept = results[: len(_OUTPUTS)], results[len(_OUTPUTS) :]
  with_xs = not isinstance(Inputs(*tangents).xs, ad.Zero)
  nets = _nets(primals, _INPUTS)
  changes = []
  for name, num_axes, value, change in zip(
    Inputs._fields, _INPUTS, primals, tangents, strict=True
  ):
    if name == 'lengths' or (name == 'xs' and not with_xs):
      continue
    if isinstance(change, ad.Zero):
      change = jnp.zeros_like(value)
    own_shape = value.shape[value.ndim - num_axes :]
    # Of each network its own, also where nets share what changes.
    changes.append(jnp.broadcast_to(change, (*nets, *own_shape)))
  changes = _bind(
    _change,
    (*primals, outputs[0], *arrays_kept, *changes),
    plan=plan,
    with_xs=with_xs,
  )
  return outputs, arrays_kept, changes


def _jvp_by_xla(primitive, by_xla, axes):
  """The rule of what is differentiated no further by hand."""

  def rule(primals, tangents, **params):
    results = _bind(primitive, primals, **params)
    changing = [i for i, t in enumerate(tangents) if not isinstance(t, ad.Zero)]

    def function(*varied):
      arrays = list(primals)
      for i, a in zip(changing, varied, strict=True):
        arrays[i] = a
      one_net = functools.partial(by_xla, **params)
      return _over_nets(one_net, arrays, axes(primals, **params))

    _, changes = jax.jvp(
      function,
      tuple(primals[i] for i in changing),
      tuple(tangents[i] for i in changing),
    )
    return results, list(changes)

  return rule


def _change_transposed(cotangents, *arrays, plan, with_xs):
  changing = len(_changing(with_xs))
  residuals, changes = arrays[:-changing], arrays[-changing:]
  cotangents = map(ad.instantiate_zeros, cotangents)
  cotangents_of = _bind(
    _bwd, (*residuals, *cotangents), plan=plan, with_xs=with_xs
  )
  return [None] * len(residuals) + [
    e if ad.is_undefined_primal(c) else None
    for e, c in zip(cotangents_of, changes, strict=True)
  ]


def _mapped(primitive, axes, linear):
  """The rule of `jax.vmap`: one more axis of networks in front of all arrays.

  Arrays that the networks share have size 1 there, but for the last ones, as
  many as `linear` says: their transposes would not have it.
  """

  def rule(arrays, where, **params):
    size = next(
      a.shape[i] for a, i in zip(arrays, where, strict=True) if i is not None
    )
    num_nonlinear = len(arrays) - linear(**params)
    operands = []
    for i, (a, axis) in enumerate(zip(arrays, where, strict=True)):
      if axis is not None:
        a = jnp.moveaxis(a, axis, 0)
      else:
        a = jnp.broadcast_to(a, ((size if i >= num_nonlinear else 1), *a.shape))
      operands.append(a)
    results = _bind(primitive, operands, **params)
    return results, [0] * len(results)

  return rule


def _operation(name, shapes, axes, by_xla, by_code):
  """A primitive with its types and its two ways to be run."""
  primitive = Primitive(f'lstm_jax_{name}')
  primitive.multiple_results = True

  def types(*arrays, **params):
    nets = _nets(arrays, axes(arrays, **params))
    xs = arrays[Inputs._fields.index('xs')]
    mesh = xs.sharding.mesh
    avals = []
    for shape in shapes(*arrays, **params):
      full_shape = (*nets, *shape)
      spec = jax.sharding.PartitionSpec(*(None,) * len(full_shape))
      sharding = jax.sharding.NamedSharding(mesh, spec)
      avals.append(xs.update(shape=full_shape, sharding=sharding))
    return avals

  def at_once(*arrays, **params):
    # Without a program around it, also where JAX is told to make none.
    with jax.disable_jit(False):
      return jax.jit(functools.partial(primitive.bind, **params))(*arrays)

  def lowered(context, *arrays, plan, **params):
    by_xla_plan = functools.partial(by_xla, plan=plan, **params)
    mapped = lambda *arrays: tuple(
      _over_nets(by_xla_plan, arrays, axes(arrays, plan=plan, **params))
    )
    nets = _nets(context.avals_in, axes(context.avals_in, plan=plan, **params))
    if (
      by_code and _may_hold(context, plan.code) and (plan.code.nets or not nets)
    ):
      mapped = functools.partial(by_code, plan=plan, **params)
    return mlir.lower_fun(mapped, multiple_results=True)(context, *arrays)

  primitive.def_abstract_eval(types)
  primitive.def_impl(at_once)
  mlir.register_lowering(primitive, lowered)
  return primitive


def _may_hold(context, code):
  """Tells whether a program may hold foreign code."""
  module = context.module_context
  if tuple(context.platforms or module.platforms) != (code.platform,):
    return False
  if context.is_forward_compat():  # exported
    return False
  devices = module.axis_context
  if hasattr(devices, 'num_devices'):
    return devices.num_devices == 1
  # Under `jax.shard_map` a device has its own, over the axes that it takes.
  left = set(devices.mesh.axis_names) - set(devices.manual_axes)
  return all(devices.mesh.shape[name] == 1 for name in left)


_loop = _operation(
  'loop', _loop_shapes, _loop_axes, _loop_by_xla, _loop_by_code
)
_kept = _operation(
  'loop_kept', _kept_all_shapes, _loop_axes, _kept_by_xla, _kept_by_code
)
_change = _operation(
  'loop_change', _change_shapes, _change_axes, _change_by_xla, None
)
_bwd = _operation(
  'loop_backward', _bwd_shapes, _bwd_axes, _bwd_by_xla, _bwd_by_code
)
ad.primitive_jvps[_loop] = _loop_jvp
ad.primitive_jvps[_kept] = _kept_jvp
ad.primitive_jvps[_change] = _jvp_by_xla(_change, _change_by_xla, _change_axes)
ad.primitive_jvps[_bwd] = _jvp_by_xla(_bwd, _bwd_by_xla, _bwd_axes)
ad.primitive_transposes[_change] = _change_transposed
for _primitive, _axes_of, _linear in (
  (_loop, _loop_axes, lambda plan: 0),
  (_kept, _loop_axes, lambda plan: 0),
  (_change, _change_axes, lambda plan, with_xs: len(_changing(with_xs))),
  (_bwd, _bwd_axes, lambda plan, with_xs: 0),
):
  batching.primitive_batchers[_primitive] = _mapped(
    _primitive, _axes_of, _linear
  )
