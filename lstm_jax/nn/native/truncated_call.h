// The call that JAX makes for the truncated rule, held against its net first.
#ifndef LSTM_JAX_NN_NATIVE_TRUNCATED_CALL_H_
#define LSTM_JAX_NN_NATIVE_TRUNCATED_CALL_H_

#include "checks.h"
#include "truncated_draw.h"
#include "truncated_lane.h"

namespace lstm_jax {

// A net, the steps that it takes and its state before and after; `g` and `h`
// number the ranges of a cell's squashing functions.
struct NetCall {
  bool forgets;
  int64_t in_gates, out_gates, block, heard, g, h;
  ffi::AnyBuffer w, xs, begin, range, s_0, y_0, s, y;
};

// What a call is given and makes.
struct RuleCall : NetCall {
  ffi::AnyBuffer traces_0, traces, net;
  const Draws* draws = nullptr;  // else the inputs are those of `xs`
};

// Steps whose inputs are drawn at once: they stay in the second cache.
constexpr int64_t kDrawn = 256;

template <class F>
F* data_of(const ffi::AnyBuffer& array) {
  return static_cast<F*>(array.untyped_data());
}

// The arrays that all calls of a net have.
template <class F>
RuleArrays<F> arrays_of(const NetCall& call) {
  RuleArrays<F> a;
  a.lanes = dims_of(call.s).back();
  a.w = data_of<F>(call.w), a.xs = data_of<F>(call.xs);
  a.begin = data_of<int32_t>(call.begin);
  a.s_0 = data_of<F>(call.s_0), a.y_0 = data_of<F>(call.y_0);
  a.s = data_of<F>(call.s), a.y = data_of<F>(call.y);
  a.given = dims_of(call.xs)[1];
  return a;
}

template <class F>
void run_truncated(const Net& n, const RuleCall& call) {
  RuleArrays<F> a = arrays_of<F>(call);
  a.traces_0 = data_of<F>(call.traces_0);
  a.traces = data_of<F>(call.traces), a.net = data_of<F>(call.net);
  const int32_t* range = data_of<int32_t>(call.range);
  const int64_t steps = std::min<int64_t>(std::max(range[1], 0), a.given);
  if (!call.draws) return run_lanes<F>(n, a, range[0], steps);
  // One more than is run: of the step that is next, the net inputs.
  const int64_t all = std::max(range[1], 0);
  Scratch<F> xs(n.inputs * (kDrawn + 1) * a.lanes);
  const Drawing<F> drawing(*call.draws, n.inputs, a.lanes, a.begin);
  a.xs = xs;
  int64_t done = 0;
  do {
    const int64_t count = std::min(all - done, kDrawn);
    a.given = count + 1;
    drawing.draw(range[0] + done, a.given, xs);
    run_lanes<F>(n, a, range[0] + done, count);
    done += count;
    a.s_0 = a.s, a.y_0 = a.y, a.traces_0 = a.traces;
  } while (done < all);
}

// The numbers of a net against each other: each counts rows of some array, so
// that none is large.
inline ffi::Error net_of(const NetCall& call, Net* n) {
  const Dims w = dims_of(call.w), xs = dims_of(call.xs), s = dims_of(call.s);
  if (w.size() != 3 || xs.size() != 3 || s.size() != 2)
    return wrong("w, xs and s must have three, three and two axes, have " +
                 written(w) + ", " + written(xs) + ", " + written(s));
  *n = {xs[0],      s[0],         call.in_gates, call.out_gates, call.block,
        call.heard, call.forgets, call.g,        call.h};
  const int64_t block = call.forgets ? 1 : call.block;
  const int64_t blocks = block < 1 || s[0] % block ? -1 : s[0] / block;
  auto fits = [&](int64_t gates) { return gates == 0 || gates == blocks; };
  const bool right =
      s[0] >= 1 && s[0] <= kMost && xs[0] <= kMost && blocks >= 1 &&
      fits(call.in_gates) && fits(call.out_gates) &&
      (call.heard == 0 || call.heard == s[0] ||
       call.heard == n->activations()) &&
      call.g >= 0 && call.g <= 2 && call.h >= 0 && call.h <= 2;
  if (right) return ffi::Error::Success();
  return wrong("no net has " + std::to_string(s[0]) + " cells and in_gates=" +
               std::to_string(call.in_gates) + ", out_gates=" +
               std::to_string(call.out_gates) + ", block=" +
               std::to_string(call.block) + ", heard=" +
               std::to_string(call.heard) + ", g=" + std::to_string(call.g) +
               ", h=" + std::to_string(call.h));
}

using Typed = std::vector<std::pair<Array, ffi::DataType>>;

// Arrays against what they must be.
inline ffi::Error fit(const Typed& all) {
  for (const auto& [array, wanted] : all) {
    const Dims dims = dims_of(array.buffer);
    if (array.buffer.element_type() != wanted || dims != array.own)
      return wrong(std::string(array.name) + " is " +
                   written(array.buffer.element_type(), dims) + ", must be " +
                   written(wanted, array.own));
  }
  return ffi::Error::Success();
}

// The same, then `run(F())`, F the type of number that the arrays are of.
template <class Run>
ffi::Error run_fitting(const Typed& all, ffi::DataType type, const Run& run) {
  const ffi::Error error = fit(all);
  if (error.failure()) return error;
  if (type == ffi::F32) {
    run(float());
  } else {
    run(double());
  }
  return ffi::Error::Success();
}

// Fills `net`; then the arrays that all calls of a net have, against it.
inline ffi::Error fit_net(const NetCall& call, Net* net) {
  ffi::Error error = net_of(call, net);
  if (error.success()) error = fit_float("s", call.s);
  if (error.failure()) return error;
  const Net& n = *net;
  const ffi::DataType type = call.s.element_type();
  const int64_t lanes = dims_of(call.s)[1], steps = dims_of(call.xs)[1];
  return fit({
      {{"w", call.w, {n.units(), n.sources(), lanes}}, type},
      {{"xs", call.xs, {n.inputs, steps, lanes}}, type},
      {{"begin", call.begin, {lanes}}, ffi::S32},
      {{"range", call.range, {2}}, ffi::S32},
      {{"s_0", call.s_0, {n.cells, lanes}}, type},
      {{"y_0", call.y_0, {n.activations(), lanes}}, type},
      {{"y", call.y, {n.activations(), lanes}}, type},
  });
}

inline ffi::Error truncated_of(const RuleCall& call) {
  Net n;
  const ffi::Error error = fit_net(call, &n);
  if (error.failure()) return error;
  const ffi::DataType type = call.s.element_type();
  const int64_t lanes = dims_of(call.s)[1], rows = n.kinds() * n.cells;
  const Typed more = {
      {{"traces_0", call.traces_0, {rows, n.sources(), lanes}}, type},
      {{"traces", call.traces, {rows, n.sources(), lanes}}, type},
      {{"net", call.net, {n.units(), lanes}}, type},
  };
  return run_fitting(more, type, [&](auto number) {
    run_truncated<decltype(number)>(n, call);
  });
}

inline ffi::Error run_truncated_steps(
    bool forgets, int64_t in_gates, int64_t out_gates, int64_t block,
    int64_t heard, int64_t g, int64_t h, ffi::AnyBuffer w, ffi::AnyBuffer xs,
    ffi::AnyBuffer begin, ffi::AnyBuffer range, ffi::AnyBuffer s_0,
    ffi::AnyBuffer y_0, ffi::AnyBuffer traces_0, ffi::Result<ffi::AnyBuffer> s,
    ffi::Result<ffi::AnyBuffer> y, ffi::Result<ffi::AnyBuffer> traces,
    ffi::Result<ffi::AnyBuffer> net) {
  return guarded("lstm_jax_truncated", [&] {
    return truncated_of({{forgets, in_gates, out_gates, block, heard, g, h, w,
                          xs, begin, range, s_0, y_0, *s, *y},
                         traces_0, *traces, *net});
  });
}

// The same with inputs that are drawn here; `xs` has their number alone.
inline ffi::Error run_drawn_steps(
    bool forgets, int64_t in_gates, int64_t out_gates, int64_t block,
    int64_t heard, int64_t g, int64_t h, ffi::AnyBuffer w, ffi::AnyBuffer xs,
    ffi::AnyBuffer begin, ffi::AnyBuffer range, ffi::AnyBuffer s_0,
    ffi::AnyBuffer y_0, int64_t symbols, int64_t bits, double scale,
    double shift, int64_t signal, bool is_noisy, ffi::AnyBuffer traces_0,
    ffi::AnyBuffer key, ffi::AnyBuffer events, ffi::AnyBuffer values,
    ffi::AnyBuffer shown, ffi::Result<ffi::AnyBuffer> s,
    ffi::Result<ffi::AnyBuffer> y, ffi::Result<ffi::AnyBuffer> traces,
    ffi::Result<ffi::AnyBuffer> net) {
  return guarded("lstm_jax_truncated_drawn", [&]() -> ffi::Error {
    const Dims state = dims_of(s_0), at = dims_of(events), x = dims_of(xs);
    const int64_t lanes = state.empty() ? 0 : state.back();
    const int64_t count = at.empty() ? 0 : at[0];
    if (key.element_type() != ffi::U32 || dims_of(key) != Dims{2, lanes})
      return wrong("key is " + written(key.element_type(), dims_of(key)) +
                   ", must be uint32" + written({2, lanes}));
    if (events.element_type() != ffi::S32 || at != Dims{count, 2, lanes})
      return wrong("events is " + written(events.element_type(), at) +
                   ", must be int32" + written({count, 2, lanes}));
    if (values.element_type() != ffi::F32 || dims_of(values) != Dims{count})
      return wrong("values is " +
                   written(values.element_type(), dims_of(values)) +
                   ", must be float32" + written({count}));
    if (shown.element_type() != ffi::F32 || dims_of(shown) != Dims{lanes})
      return wrong("shown is " + written(shown.element_type(), dims_of(shown)) +
                   ", must be float32" + written({lanes}));
    if (x.empty() || x[0] < 1 || symbols < -1 || symbols > kMost || bits < 1 ||
        bits > 31 || signal < -1 || signal > INT32_MAX)
      return wrong("no inputs have symbols=" + std::to_string(symbols) +
                   ", bits=" + std::to_string(bits) + ", signal=" +
                   std::to_string(signal) + ", xs=" + written(x));
    const Draws draws = {symbols,
                         bits,
                         scale,
                         shift,
                         signal,
                         is_noisy,
                         count,
                         static_cast<const uint32_t*>(key.untyped_data()),
                         static_cast<const int32_t*>(events.untyped_data()),
                         static_cast<const float*>(values.untyped_data()),
                         static_cast<const float*>(shown.untyped_data())};
    return truncated_of({{forgets, in_gates, out_gates, block, heard, g, h, w,
                          xs, begin, range, s_0, y_0, *s, *y},
                         traces_0, *traces, *net, &draws});
  });
}

}  // namespace lstm_jax

#endif  // LSTM_JAX_NN_NATIVE_TRUNCATED_CALL_H_
