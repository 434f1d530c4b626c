// The calls that JAX makes: a layer forward and backward, for any number of nets
// side by side, and steps of the truncated rule.
#include "backward.h"
#include "checks.h"
#include "thread_pool.h"
#include "forward.h"
#include "truncated_call.h"
#include "truncated_errors_call.h"

namespace lstm_jax {
namespace {

// An array with axes in front for the nets, as `jax.vmap` puts them there: of
// the nets' size, or of size 1 where all nets share it.
class Nets {
 public:
  Nets(const ffi::AnyBuffer& array, int own) : array_(array), own_(own) {}

  // Where net `m` of those with axes `nets` begins.
  template <class F>
  F* of(int64_t m, const std::vector<int64_t>& nets) const {
    auto dims = array_.dimensions();
    int64_t size = 1, at = 0;
    for (size_t i = dims.size() - own_; i < dims.size(); ++i) size *= dims[i];
    const int64_t extra = int64_t(nets.size()) - (int64_t(dims.size()) - own_);
    for (int64_t i = int64_t(nets.size()) - 1; i >= extra; --i) {
      if (dims[i - extra] > 1) at += m % nets[i] * size, size *= nets[i];
      m /= nets[i];
    }
    return static_cast<F*>(array_.untyped_data()) + at;
  }

 private:
  const ffi::AnyBuffer& array_;
  int own_;
};

int64_t product(const Dims& sizes) {
  int64_t all = 1;
  for (int64_t size : sizes) all = times(all, size);
  return all;
}

Sizes sizes_of(const Told& told, int64_t nets, bool reverse) {
  // Without sequences there are no steps, however many are said.
  const int64_t steps = told.batch ? told.steps : 0;
  return {steps,       told.batch, told.inputs, told.cells,
          told.padded, nets,       reverse};
}

// How the work of some nets is shared out.
struct Shares {
  int64_t parts;  // that a net's batch is cut into, each with a thread
  bool steps;  // whether instead threads share the cells of every step
};

template <class F>
Shares shares_of(const ffi::ThreadPool& pool, const Sizes& n, int64_t nets) {
  const double weights = double(n.nets * n.cells) * (n.inputs + n.cells);
  const double work = 2 * n.steps * n.batch * weights;  // of a net, forward
  const int64_t threads = std::max<int64_t>(pool.num_threads(), 1);
  if (threads == 1 || work < 2e6 || nets >= 2 * threads) return {1, false};
  // Weights that no core's cache holds are read again in every step, by each
  // thread those that it multiplies.
  if (nets == 1 && weights * sizeof(F) > kCache) return {1, true};
  return {std::max<int64_t>(std::min(threads, n.batch), 1), false};
}

template <class F>
void forward(ffi::ThreadPool& pool, const Sizes& n, const Dims& nets,
             const ForwardCell<F>& cell, const Inputs& in, ffi::AnyBuffer ys,
             ffi::AnyBuffer h, ffi::AnyBuffer c, const ffi::AnyBuffer* inside,
             const ffi::AnyBuffer* gates) {
  const int64_t count = product(nets);
  const Shares shares = shares_of<F>(pool, n, count);
  const int64_t parts = shares.parts;
  const int64_t size = n.row() * (n.inputs + n.cells + 1);
  const ffi::AnyBuffer* const large[] = {&ys, inside, gates};
  for (const ffi::AnyBuffer* made : large)
    if (made) in_large_pages(made->untyped_data(), made->size_bytes());
  Scratch<F> packed(times(count, size));
  in_parallel(pool, count, [&](int64_t m) {
    pack_forward<F>(n, cell.from_x, cell.from_h,
                    Nets(in.w_x, 2).of<F>(m, nets),
                    Nets(in.w_h, 2).of<F>(m, nets),
                    Nets(in.b, 1).of<F>(m, nets), packed + m * size);
  });
  in_parallel(pool, count * parts, [&](int64_t i) {
    const int64_t m = i / parts, part = i % parts;
    ForwardArrays<F> a;
    a.xs = Nets(in.xs, 3).of<F>(m, nets);
    a.h_0 = Nets(in.h_0, 2).of<F>(m, nets);
    a.c_0 = Nets(in.c_0, 2).of<F>(m, nets);
    a.lengths = Nets(in.lengths, 1).of<int32_t>(m, nets);
    a.ys = Nets(ys, 3).of<F>(m, nets);
    a.h = Nets(h, 2).of<F>(m, nets);
    a.c = Nets(c, 2).of<F>(m, nets);
    a.inside = inside ? Nets(*inside, 3).of<F>(m, nets) : nullptr;
    a.gates = gates && gates->element_count() ? Nets(*gates, 4).of<F>(m, nets)
                                              : nullptr;
    ForwardLoop<F> loop(n, cell, a, packed + m * size, n.batch * part / parts,
                        n.batch * (part + 1) / parts);
    if (shares.steps) {
      together(pool, [&](auto crew) { loop.run(crew); });
    } else {
      loop.run(SerialExecutor());
    }
  });
}

// What the backward pass is given besides the inputs, and what it makes.
struct Kept {
  ffi::AnyBuffer ys, inside, gates, ct_ys, ct_h, ct_c;
};

struct Found {
  ffi::AnyBuffer ct_w_x, ct_w_h, ct_b, ct_xs, ct_h_0, ct_c_0;
};

template <class F>
void backward(ffi::ThreadPool& pool, const Sizes& n, const Dims& nets,
              const BackwardCell<F>& cell, const Inputs& in, const Kept& kept,
              const Found& found) {
  const int64_t count = product(nets);
  const Shares shares = shares_of<F>(pool, n, count);
  const int64_t parts = shares.parts;
  const int64_t lanes = kLanes<F>, stride = n.row();
  const int64_t sums = (n.inputs + n.cells + 1) * stride;
  const bool again = cell.gates && !kept.gates.element_count();
  const bool wants_xs = found.ct_xs.element_count();
  // Weights of the forward pass, W_h and W_x, one behind the other.
  const int64_t again_size = again ? sums : 0, hidden = stride * n.cells;
  const int64_t outside =
      wants_xs ? (n.inputs + lanes - 1) / lanes * lanes * n.nets * n.cells : 0;
  const int64_t size = again_size + hidden + outside;
  Scratch<F> packed(times(count, size));
  Scratch<F> total(times(count * parts, sums));
  in_parallel(pool, count, [&](int64_t m) {
    const F* from_x = Nets(in.w_x, 2).of<F>(m, nets);
    const F* from_h = Nets(in.w_h, 2).of<F>(m, nets);
    F* to = packed + m * size;
    if (again)
      pack_forward<F>(n, cell.from_x, cell.from_h, from_x, from_h,
                      Nets(in.b, 1).of<F>(m, nets), to);
    pack_backward<F>(n, from_h, cell.from_h, n.cells, to + again_size);
    if (wants_xs)
      pack_backward<F>(n, from_x, cell.from_x, n.inputs,
                       to + again_size + hidden);
  });
  in_parallel(pool, count * parts, [&](int64_t i) {
    const int64_t m = i / parts, part = i % parts;
    BackwardArrays<F> a;
    a.xs = Nets(in.xs, 3).of<F>(m, nets);
    a.h_0 = Nets(in.h_0, 2).of<F>(m, nets);
    a.c_0 = Nets(in.c_0, 2).of<F>(m, nets);
    a.lengths = Nets(in.lengths, 1).of<int32_t>(m, nets);
    a.ys = Nets(kept.ys, 3).of<F>(m, nets);
    a.inside = Nets(kept.inside, 3).of<F>(m, nets);
    a.gates = kept.gates.element_count() ? Nets(kept.gates, 4).of<F>(m, nets) : nullptr;
    a.ct_ys = Nets(kept.ct_ys, 3).of<F>(m, nets);
    a.ct_h = Nets(kept.ct_h, 2).of<F>(m, nets);
    a.ct_c = Nets(kept.ct_c, 2).of<F>(m, nets);
    a.ct_h_0 = Nets(found.ct_h_0, 2).of<F>(m, nets);
    a.ct_c_0 = Nets(found.ct_c_0, 2).of<F>(m, nets);
    a.ct_xs = wants_xs ? Nets(found.ct_xs, 3).of<F>(m, nets) : nullptr;
    const F* w = packed + m * size;
    BackwardLoop<F> loop(
        n, cell, a, {w, w + again_size, w + again_size + hidden},
        n.batch * part / parts, n.batch * (part + 1) / parts, total + i * sums);
    if (shares.steps) {
      together(pool, [&](auto crew) { loop.run(crew); });
    } else {
      loop.run(SerialExecutor());
    }
  });
  in_parallel(pool, count, [&](int64_t m) {
    const F* first = total + m * parts * sums;
    auto summed = [&](int64_t at) {
      F sum = 0;
      for (int64_t part = 0; part < parts; ++part)
        sum += first[part * sums + at];
      return sum;
    };
    // Gradients of the rows that each net input has, source by source.
    auto put = [&](F* to, const int* from, int64_t source, int64_t count) {
      for (int64_t gate = 0; gate < n.nets; ++gate)
        if (from[gate] >= 0)
          for (int64_t c = 0; c < n.cells; ++c) {
            const auto place = Gradient<F>::place_of(n, gate * n.padded + c);
            for (int64_t k = 0; k < count; ++k)
              to[(from[gate] * n.cells + c) * count + k] =
                  summed(place.first + (source + k) * place.second);
          }
    };
    put(Nets(found.ct_w_x, 2).of<F>(m, nets), cell.from_x, 0, n.inputs);
    put(Nets(found.ct_w_h, 2).of<F>(m, nets), cell.from_h, n.inputs, n.cells);
    const int each[4] = {0, 1, 2, 3};
    put(Nets(found.ct_b, 1).of<F>(m, nets), each, n.inputs + n.cells, 1);
  });
}

// The parts of the cells, in the order of `CELLS` in loops.py.
#define LSTM_JAX_CELLS(part)                                \
  {                                                         \
    part<F, Lstm>, part<F, Gru>, part<F, Srn<Tanh>>,        \
        part<F, Srn<Logistic>>, part<F, Srn<Relu>>          \
  }

template <class F>
constexpr ForwardCell<F> kForward[] = LSTM_JAX_CELLS(kForwardCell);
template <class F>
constexpr BackwardCell<F> kBackward[] = LSTM_JAX_CELLS(kBackwardCell);

ffi::Error forward_of(bool reverse, int64_t cell, ffi::ThreadPool& pool,
                      const Inputs& in, ffi::AnyBuffer ys, ffi::AnyBuffer h,
                      ffi::AnyBuffer c, const ffi::AnyBuffer* inside,
                      const ffi::AnyBuffer* gates) {
  Told told;
  ffi::Error error = told_of(cell, in, &told);
  if (error.failure()) return error;
  const Dims nets = nets_of(ys, 3);
  const Dims state = {told.batch, told.cells};
  std::vector<Array> others = {
      {"ys", ys, {told.steps, told.batch, told.cells}, true},
      {"h", h, state, true},
      {"c", c, state, true},
  };
  if (inside)
    for (const Array& array : kept(told, *inside, *gates, true))
      others.push_back(array);
  error = check(told, nets, in, others);
  if (error.failure() || !product(nets)) return error;
  const Sizes n = sizes_of(told, kFacts[cell].biases, reverse);
  if (told.type == ffi::F64) {
    forward(pool, n, nets, kForward<double>[cell], in, ys, h, c, inside, gates);
  } else {
    forward(pool, n, nets, kForward<float>[cell], in, ys, h, c, inside, gates);
  }
  return error;
}

using Arg = ffi::AnyBuffer;
using Ret = ffi::Result<Arg>;

ffi::Error run_forward(bool reverse, int64_t cell, ffi::ThreadPool pool,
                       Arg w_x, Arg w_h, Arg b, Arg xs, Arg h_0, Arg c_0,
                       Arg lengths, Ret ys, Ret h, Ret c) {
  return guarded("lstm_jax_forward", [&] {
    const Inputs in = {w_x, w_h, b, xs, h_0, c_0, lengths};
    return forward_of(reverse, cell, pool, in, *ys, *h, *c, nullptr, nullptr);
  });
}

ffi::Error run_forward_kept(bool reverse, int64_t cell, ffi::ThreadPool pool,
                            Arg w_x, Arg w_h, Arg b, Arg xs, Arg h_0, Arg c_0,
                            Arg lengths, Ret ys, Ret h, Ret c, Ret inside,
                            Ret gates) {
  return guarded("lstm_jax_forward_kept", [&] {
    const Inputs in = {w_x, w_h, b, xs, h_0, c_0, lengths};
    return forward_of(reverse, cell, pool, in, *ys, *h, *c, &*inside, &*gates);
  });
}

ffi::Error run_backward(bool reverse, int64_t cell, ffi::ThreadPool pool,
                        Arg w_x, Arg w_h, Arg b, Arg xs, Arg h_0, Arg c_0,
                        Arg lengths, Arg ys, Arg inside, Arg gates, Arg ct_ys,
                        Arg ct_h, Arg ct_c, Ret ct_w_x, Ret ct_w_h, Ret ct_b,
                        Ret ct_xs, Ret ct_h_0, Ret ct_c_0) {
  return guarded("lstm_jax_backward", [&] {
    const Inputs in = {w_x, w_h, b, xs, h_0, c_0, lengths};
    Told told;
    ffi::Error error = told_of(cell, in, &told);
    if (error.failure()) return error;
    const Dims nets = nets_of(*ct_h_0, 2);
    const Dims all = {told.steps, told.batch, told.cells};
    const Dims state = {told.batch, told.cells};
    const int64_t rows = told.cell.rows * told.cells;
    // [0, 0, 0] where it is not wanted.
    const bool wants_xs = ct_xs->element_count();
    const Dims of_xs = {told.steps, told.batch, told.inputs};
    std::vector<Array> others = {
        {"ys", ys, all},
        {"ct_ys", ct_ys, all},
        {"ct_h", ct_h, state},
        {"ct_c", ct_c, state},
        {"ct_w_x", *ct_w_x, {rows, told.inputs}, true},
        {"ct_w_h", *ct_w_h, {rows, told.cells}, true},
        {"ct_b", *ct_b, {told.cell.biases * told.cells}, true},
        {"ct_h_0", *ct_h_0, state, true},
        {"ct_c_0", *ct_c_0, state, true},
    };
    if (wants_xs) others.push_back({"ct_xs", *ct_xs, of_xs, true});
    for (const Array& array : kept(told, inside, gates, false))
      others.push_back(array);
    error = check(told, nets, in, others);
    if (error.failure() || !product(nets)) return error;
    const Sizes n = sizes_of(told, kFacts[cell].biases, reverse);
    const Kept kept = {ys, inside, gates, ct_ys, ct_h, ct_c};
    const Found found = {*ct_w_x, *ct_w_h, *ct_b, *ct_xs, *ct_h_0, *ct_c_0};
    if (told.type == ffi::F64) {
      backward(pool, n, nets, kBackward<double>[cell], in, kept, found);
    } else {
      backward(pool, n, nets, kBackward<float>[cell], in, kept, found);
    }
    return error;
  });
}

}  // namespace
}  // namespace lstm_jax

#pragma GCC visibility push(default)

using Arg = lstm_jax::Arg;
namespace ffi = xla::ffi;

// What every call is given first: w_x, w_h, b, xs, h_0, c_0, lengths.
constexpr auto lstm_jax_inputs = [] {
  return ffi::Ffi::Bind()
      .Attr<bool>("reverse")
      .Attr<int64_t>("cell")
      .Ctx<ffi::ThreadPool>()
      .Arg<Arg>()
      .Arg<Arg>()
      .Arg<Arg>()
      .Arg<Arg>()
      .Arg<Arg>()
      .Arg<Arg>()
      .Arg<Arg>();
};

XLA_FFI_DEFINE_HANDLER_SYMBOL(
    lstm_jax_forward, lstm_jax::run_forward,
    lstm_jax_inputs().Ret<Arg>().Ret<Arg>().Ret<Arg>());

XLA_FFI_DEFINE_HANDLER_SYMBOL(
    lstm_jax_forward_kept, lstm_jax::run_forward_kept,
    lstm_jax_inputs()
        .Ret<Arg>()
        .Ret<Arg>()
        .Ret<Arg>()
        .Ret<Arg>()
        .Ret<Arg>());

XLA_FFI_DEFINE_HANDLER_SYMBOL(
    lstm_jax_backward, lstm_jax::run_backward,
    lstm_jax_inputs()
        .Arg<Arg>()
        .Arg<Arg>()
        .Arg<Arg>()
        .Arg<Arg>()
        .Arg<Arg>()
        .Arg<Arg>()
        .Ret<Arg>()
        .Ret<Arg>()
        .Ret<Arg>()
        .Ret<Arg>()
        .Ret<Arg>()
        .Ret<Arg>());

// What every call of the truncated rule's steps is given first: numbers of the
// net; w, xs, begin, range, s_0, y_0.
constexpr auto lstm_jax_net = [] {
  return ffi::Ffi::Bind()
      .Attr<bool>("forgets")
      .Attr<int64_t>("in_gates")
      .Attr<int64_t>("out_gates")
      .Attr<int64_t>("block")
      .Attr<int64_t>("heard")
      .Attr<int64_t>("g")
      .Attr<int64_t>("h")
      .Arg<Arg>()
      .Arg<Arg>()
      .Arg<Arg>()
      .Arg<Arg>()
      .Arg<Arg>()
      .Arg<Arg>();
};

// traces_0; s, y, traces, net.
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    lstm_jax_truncated, lstm_jax::run_truncated_steps,
    lstm_jax_net().Arg<Arg>().Ret<Arg>().Ret<Arg>().Ret<Arg>().Ret<Arg>());

// traces_0, key, events, values, shown; s, y, traces, net.
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    lstm_jax_truncated_drawn, lstm_jax::run_drawn_steps,
    lstm_jax_net()
        .Attr<int64_t>("symbols")
        .Attr<int64_t>("bits")
        .Attr<double>("scale")
        .Attr<double>("shift")
        .Attr<int64_t>("signal")
        .Attr<bool>("is_noisy")
        .Arg<Arg>()
        .Arg<Arg>()
        .Arg<Arg>()
        .Arg<Arg>()
        .Arg<Arg>()
        .Ret<Arg>()
        .Ret<Arg>()
        .Ret<Arg>()
        .Ret<Arg>());

// s, y, nets, states, activations, factors, decays.
XLA_FFI_DEFINE_HANDLER_SYMBOL(
    lstm_jax_truncated_kept, lstm_jax::run_kept_steps,
    lstm_jax_net()
        .Ret<Arg>()
        .Ret<Arg>()
        .Ret<Arg>()
        .Ret<Arg>()
        .Ret<Arg>()
        .Ret<Arg>()
        .Ret<Arg>());

// count, errors, factors, decays, z, traces_0, total_0; traces, total.
XLA_FFI_DEFINE_HANDLER_SYMBOL(lstm_jax_truncated_errors,
                              lstm_jax::run_trace_errors,
                              ffi::Ffi::Bind()
                                  .Arg<Arg>()
                                  .Arg<Arg>()
                                  .Arg<Arg>()
                                  .Arg<Arg>()
                                  .Arg<Arg>()
                                  .Arg<Arg>()
                                  .Arg<Arg>()
                                  .Ret<Arg>()
                                  .Ret<Arg>());

// count, errors, z, total_0; total.
XLA_FFI_DEFINE_HANDLER_SYMBOL(lstm_jax_truncated_products,
                              lstm_jax::run_error_products,
                              ffi::Ffi::Bind()
                                  .Arg<Arg>()
                                  .Arg<Arg>()
                                  .Arg<Arg>()
                                  .Arg<Arg>()
                                  .Ret<Arg>());

extern "C" int lstm_jax_vector_bytes() { return lstm_jax::kBytes; }

#pragma GCC visibility pop
