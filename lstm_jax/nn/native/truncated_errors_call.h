// The calls that JAX makes where every step has an error: the steps of a block
// with what they leave, and what its errors add to the gradient.
#ifndef LSTM_JAX_NN_NATIVE_TRUNCATED_ERRORS_CALL_H_
#define LSTM_JAX_NN_NATIVE_TRUNCATED_ERRORS_CALL_H_

#include "truncated_call.h"
#include "truncated_errors.h"

namespace lstm_jax {

struct KeptCall : NetCall {
  ffi::AnyBuffer nets, states, activations, factors, decays;
};

template <class F>
void run_kept(const Net& n, const KeptCall& call) {
  RuleArrays<F> a = arrays_of<F>(call);
  const int32_t* range = data_of<int32_t>(call.range);
  const int64_t count = std::min<int64_t>(std::max(range[1], 0), a.given);
  a.kept = {a.given,
            data_of<F>(call.nets),
            data_of<F>(call.states),
            data_of<F>(call.activations),
            data_of<F>(call.factors),
            data_of<F>(call.decays)};
  // Steps that are not taken leave zeros: whatever lies there may be no number.
  for (const ffi::AnyBuffer* array :
       {&call.nets, &call.states, &call.activations, &call.factors,
        &call.decays}) {
    const int64_t rows = dims_of(*array)[0], row = a.given * a.lanes;
    for (int64_t r = 0; r < rows; ++r)
      std::fill(data_of<F>(*array) + r * row + count * a.lanes,
                data_of<F>(*array) + (r + 1) * row, F(0));
  }
  run_lanes<F>(n, a, range[0], count);
}

inline ffi::Error kept_of(const KeptCall& call) {
  Net n;
  const ffi::Error error = fit_net(call, &n);
  if (error.failure()) return error;
  const ffi::DataType type = call.s.element_type();
  const int64_t lanes = dims_of(call.s)[1], steps = dims_of(call.xs)[1];
  const Typed more = {
      {{"nets", call.nets, {n.units(), steps, lanes}}, type},
      {{"states", call.states, {n.cells, steps, lanes}}, type},
      {{"activations", call.activations, {n.activations(), steps, lanes}},
       type},
      {{"factors", call.factors, {n.kinds() * n.cells, steps, lanes}}, type},
      {{"decays", call.decays, {n.forgets ? n.cells : 0, steps, lanes}}, type},
  };
  return run_fitting(more, type, [&](auto number) {
    run_kept<decltype(number)>(n, call);
  });
}

inline ffi::Error run_kept_steps(
    bool forgets, int64_t in_gates, int64_t out_gates, int64_t block,
    int64_t heard, int64_t g, int64_t h, ffi::AnyBuffer w, ffi::AnyBuffer xs,
    ffi::AnyBuffer begin, ffi::AnyBuffer range, ffi::AnyBuffer s_0,
    ffi::AnyBuffer y_0, ffi::Result<ffi::AnyBuffer> s,
    ffi::Result<ffi::AnyBuffer> y, ffi::Result<ffi::AnyBuffer> nets,
    ffi::Result<ffi::AnyBuffer> states, ffi::Result<ffi::AnyBuffer> activations,
    ffi::Result<ffi::AnyBuffer> factors, ffi::Result<ffi::AnyBuffer> decays) {
  return guarded("lstm_jax_truncated_kept", [&] {
    return kept_of({{forgets, in_gates, out_gates, block, heard, g, h, w, xs,
                     begin, range, s_0, y_0, *s, *y},
                    *nets, *states, *activations, *factors, *decays});
  });
}

// What a block of errors adds; of plain products there are no traces.
struct ErrorCall {
  ffi::AnyBuffer count, errors, z, total_0, total;
  const ffi::AnyBuffer *factors, *decays, *traces_0, *traces;
};

template <class F>
void run_errors(const ErrorCall& call, ErrorArrays<F> a) {
  a.count = std::clamp<int64_t>(*data_of<int32_t>(call.count), 0, a.steps);
  a.errors = data_of<F>(call.errors), a.z = data_of<F>(call.z);
  a.total_0 = data_of<F>(call.total_0), a.total = data_of<F>(call.total);
  if (!call.factors) return add_errors<F, false, false>(a);
  a.factors = data_of<F>(*call.factors), a.decays = data_of<F>(*call.decays);
  a.traces_0 = data_of<F>(*call.traces_0), a.traces = data_of<F>(*call.traces);
  if (dims_of(*call.decays)[0]) return add_errors<F, true, true>(a);
  add_errors<F, true, false>(a);
}

inline ffi::Error errors_of(const ErrorCall& call) {
  const ffi::DataType type = call.errors.element_type();
  const Dims e = dims_of(call.errors), z = dims_of(call.z);
  const ffi::Error error = fit_float("errors", call.errors);
  if (error.failure()) return error;
  if (e.size() != 3 || z.size() != 3 || e[0] < 1)
    return wrong("errors and z must have three axes and a row, have " +
                 written(e) + ", " + written(z));
  const int64_t C = e[0], steps = e[1], lanes = e[2], S = z[0];
  int64_t R = C;
  Typed all = {{{"count", call.count, {1}}, ffi::S32},
               {{"z", call.z, {S, steps, lanes}}, type}};
  if (call.factors) {
    const Dims factors = dims_of(*call.factors), decays = dims_of(*call.decays);
    R = factors.empty() ? 0 : factors[0] / C * C;
    const bool forgets = !decays.empty() && decays[0];
    all.push_back({{"factors", *call.factors, {R, steps, lanes}}, type});
    all.push_back(
        {{"decays", *call.decays, {forgets ? C : 0, steps, lanes}}, type});
    all.push_back({{"traces_0", *call.traces_0, {R, S, lanes}}, type});
    all.push_back({{"traces", *call.traces, {R, S, lanes}}, type});
  }
  all.push_back({{"total_0", call.total_0, {R, S, lanes}}, type});
  all.push_back({{"total", call.total, {R, S, lanes}}, type});
  return run_fitting(all, type, [&](auto number) {
    run_errors<decltype(number)>(call, {lanes, steps, 0, C, R, S});
  });
}

inline ffi::Error run_trace_errors(
    ffi::AnyBuffer count, ffi::AnyBuffer errors, ffi::AnyBuffer factors,
    ffi::AnyBuffer decays, ffi::AnyBuffer z, ffi::AnyBuffer traces_0,
    ffi::AnyBuffer total_0, ffi::Result<ffi::AnyBuffer> traces,
    ffi::Result<ffi::AnyBuffer> total) {
  return guarded("lstm_jax_truncated_errors", [&] {
    return errors_of({count, errors, z, total_0, *total, &factors, &decays,
                      &traces_0, &*traces});
  });
}

inline ffi::Error run_error_products(ffi::AnyBuffer count,
                                     ffi::AnyBuffer errors, ffi::AnyBuffer z,
                                     ffi::AnyBuffer total_0,
                                     ffi::Result<ffi::AnyBuffer> total) {
  return guarded("lstm_jax_truncated_products", [&] {
    return errors_of({count, errors, z, total_0, *total});
  });
}

}  // namespace lstm_jax

#endif  // LSTM_JAX_NN_NATIVE_TRUNCATED_ERRORS_CALL_H_
