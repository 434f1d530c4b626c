// Errors of every step of a block, gathered for the weights: those that come by
// the traces, which are carried along here, and products of errors and sources.
//
// A vector is a group of lanes, as in `truncated.h`; sums run step by step, so
// that the bits do not depend on where blocks are cut.
#ifndef LSTM_JAX_NN_NATIVE_TRUNCATED_ERRORS_H_
#define LSTM_JAX_NN_NATIVE_TRUNCATED_ERRORS_H_

#include "truncated.h"

namespace lstm_jax {

// Arrays [rows, steps, L] of which `count` steps are done, and [R, S, L] ones.
// `errors` are those of the C internal states one step ago: rows r, C + r, ...
// are of one of them, and so are `decays`, where there are any. Without traces
// there is one error a row.
template <class F>
struct ErrorArrays {
  int64_t lanes, steps, count, cells, rows, sources;
  const F *errors, *factors, *decays, *z;
  const F *traces_0, *total_0;
  F *traces, *total;
};

// R rows and N columns of totals and traces: total + e trace, J trace + F z; or
// total + e z.
template <class F, int R, int N, bool Traces, bool Decays>
void add_error_tile(const ErrorArrays<F>& a, int64_t row, int64_t column,
                    int64_t lane) {
  const int part = int(std::min<int64_t>(a.lanes - lane, kLanes<F>));
  const int64_t stride = a.steps * a.lanes;
  auto at = [&](int r, int k) {
    return ((row + r) * a.sources + column + k) * a.lanes + lane;
  };
  Vec<F> totals[R][N], traces[R][N];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int k = 0; k < N; ++k) {
      totals[r][k] = load_part(a.total_0 + at(r, k), part);
      if constexpr (Traces)
        traces[r][k] = load_part(a.traces_0 + at(r, k), part);
    }
  const int64_t cell = row % a.cells;
  const F* errors = a.errors + cell * stride + lane;
  const F* factors = Traces ? a.factors + row * stride + lane : nullptr;
  const F* decays = Decays ? a.decays + cell * stride + lane : nullptr;
  const F* z = a.z + column * stride + lane;
  for (int64_t t = 0; t < a.count; ++t) {
    const int64_t now = t * a.lanes;
    Vec<F> sources[N];
#pragma GCC unroll 4
    for (int k = 0; k < N; ++k) sources[k] = load_part(z + k * stride + now, part);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const Vec<F> e = rounded(load_part(errors + r * stride + now, part));
      Vec<F> factor{}, decay{};
      if constexpr (Traces)
        factor = rounded(load_part(factors + r * stride + now, part));
      if constexpr (Decays) decay = load_part(decays + r * stride + now, part);
#pragma GCC unroll 4
      for (int k = 0; k < N; ++k) {
        if constexpr (!Traces) {
          totals[r][k] += e * sources[k];
          continue;
        }
        Vec<F> trace = traces[r][k];
        totals[r][k] += e * trace;
        if constexpr (Decays) trace = rounded(decay * trace);
        traces[r][k] = trace + factor * sources[k];
      }
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int k = 0; k < N; ++k) {
      store_part(a.total + at(r, k), totals[r][k], part);
      if constexpr (Traces) store_part(a.traces + at(r, k), traces[r][k], part);
    }
}

template <class F, bool Traces, bool Decays>
void add_errors(const ErrorArrays<F>& a) {
  constexpr int height = std::max(kSums / 6, 1), columns = 3;
  for (int64_t lane = 0; lane < a.lanes; lane += kLanes<F>)
    for (int64_t first = 0; first < a.rows; first += a.cells)
      in_pieces<height>(a.cells, [&](int64_t r, auto rows) {
        in_pieces<columns>(a.sources, [&](int64_t s, auto sources) {
          add_error_tile<F, rows.value, sources.value, Traces, Decays>(
              a, first + r, s, lane);
        });
      });
}

}  // namespace lstm_jax

#endif  // LSTM_JAX_NN_NATIVE_TRUNCATED_ERRORS_H_
