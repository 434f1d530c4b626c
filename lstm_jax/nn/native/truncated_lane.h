// The truncated rule of 1997 on one sequence: a vector is a group of cells.
//
// What `truncated.h` does to an entry of its vectors happens here to one of
// these, in the same order: the bits are the same, and a lane alone, which
// costs a whole vector there, costs what it waits for here.
#ifndef LSTM_JAX_NN_NATIVE_TRUNCATED_LANE_H_
#define LSTM_JAX_NN_NATIVE_TRUNCATED_LANE_H_

#include "arrays.h"
#include "squashing.h"
#include "truncated.h"
#include "truncated_net.h"

namespace lstm_jax {

// A vector of rows of the traces, at some sources.
template <class V>
struct Tile {
  using F = Scalar<V>;
  F* traces;
  const F *factors, *decays, *z;
  int64_t traces_row, factors_row, sources_row;  // from one to the next
};

// J trace + F z for S sources, step by step, in registers.
template <class V, int S, bool Decays>
void add_tile(const Tile<V>& tile, int64_t steps) {
  auto [traces, factors, decays, z, row, factors_row, sources_row] = tile;
  V sums[S], factor, decay;
#pragma GCC unroll 12
  for (int s = 0; s < S; ++s)
    std::memcpy(&sums[s], traces + s * row, sizeof(V));
  for (int64_t t = 0; t < steps; ++t) {
    std::memcpy(&factor, factors, sizeof(V));
    if (Decays) std::memcpy(&decay, decays, sizeof(V));
#pragma GCC unroll 12
    for (int s = 0; s < S; ++s) {
      V trace = sums[s];
      if constexpr (Decays) trace = rounded(decay * trace);
      sums[s] = trace + factor * each_entry<V>(z[s]);
    }
    factors += factors_row, decays += factors_row, z += sources_row;
  }
#pragma GCC unroll 12
  for (int s = 0; s < S; ++s)
    std::memcpy(traces + s * row, &sums[s], sizeof(V));
}

// Calls `some(first, count)`, `count` a constant: 12, 8 or 4, the last of them
// beyond the end.
template <int Most = 12, class Some>
LSTM_JAX_INLINE void in_tiles(int64_t count, const Some& some) {
  int64_t first = 0;
  for (; first + Most - 4 < count; first += Most)
    some(first, std::integral_constant<int, Most>());
  if constexpr (Most > 4)
    in_tiles<Most - 4>(count - first, [&](int64_t more, auto constant) {
      some(first + more, constant);
    });
}

// One lane. `Bytes` are those of a vector of cells; `One` says that all cells
// are in one.
template <class F, int Bytes, bool One, bool Forgets>
class LaneLoop {
  using V = typename Sized<F, Bytes>::V;
  static constexpr int W = Bytes / sizeof(F);
  // Of the traces, which wait for nothing: twice as wide where there is room.
  using T = typename Sized<F, Bytes < kBytes ? 2 * Bytes : Bytes>::V;
  static constexpr int kWidth = sizeof(T) / sizeof(F);
  // Kinds of units that a cell has, in the order of their net inputs here.
  enum { kIn, kOut, kG, kKeep };
  static constexpr int kRows = Forgets ? 4 : 3;
  // Steps whose products for the traces are done together.
  static constexpr int kGroup = 16;

 public:
  LaneLoop(const Net& n, const RuleArrays<F>& a, int64_t lane)
      : n_(n), a_(a), lane_(lane), vectors_(One ? 1 : (n.cells + W - 1) / W),
        padded_(vectors_ * W),
        factors_row_((n.kinds() * padded_ + kWidth - 1) / kWidth * kWidth),
        places_(n.places() + padded_),
        memory_(n.sources() * kRows * padded_ +
                (n.sources() + 6 + 2 * kGroup) * factors_row_ +
                (2 * kRows + 6) * padded_ + (kGroup + 1) * places_ + 4) {
    F* at = memory_;
    auto take = [&](int64_t size) {
      F* first = at;
      at += size;
      return first;
    };
    // Of the widest vectors first.
    traces_ = take((n.sources() + 6) * factors_row_);
    factors_ = take(kGroup * factors_row_);
    decays_ = take(kGroup * factors_row_);
    w_ = take(n.sources() * kRows * padded_);
    net_ = take((kRows + 3) * padded_);
    nets_ = take(kRows * padded_);
    s_ = take(padded_);
    in_ = take(padded_);
    out_ = take(padded_);
    z_ = take((kGroup + 1) * places_);
    load_all();
  }

  // Steps `first`, ..., `first + steps - 1`, of those the lane's own.
  void run(int64_t first, int64_t steps) {
    const int64_t begin = a_.begin[lane_];
    const int64_t idle = std::clamp<int64_t>(begin - first, 0, steps);
    // Of one vector a kind, in registers: in memory, each waits for the other.
    V own[kRows + 3];
    V* const memory = One ? own : reinterpret_cast<V*>(net_);
    const Cells cells = {memory, memory + kRows * vectors(),
                         memory + (kRows + 1) * vectors(),
                         memory + (kRows + 2) * vectors()};
    for (int64_t k = 0; k < vectors(); ++k) get(s_ + k * W, &cells.s[k]);
    if (a_.given) {
      input_of(idle, 0, first + idle >= begin);
      first_inputs(z_, cells.net);
      get_cells(z_, cells.y);
      further_inputs(cells);
    }
    int64_t at = 0;
    for (int64_t t = idle; t < steps; ++t) {
      step(t, at, first + t + 1 >= begin, cells);
      if (++at == kGroup || t == steps - 1) {
        add(at);
        std::memcpy(z_, z_of(at), n_.places() * sizeof(F));
        at = 0;
      }
    }
    store_all(steps < a_.given, cells);
  }

 private:
  // Of all cells: net inputs, one kind after the other, internal states,
  // activations of output gates and of cells.
  struct Cells {
    V *net, *s, *out, *y;
  };

  int64_t vectors() const { return One ? 1 : vectors_; }
  static LSTM_JAX_INLINE void get(const F* from, V* to) {
    std::memcpy(to, from, Bytes);
  }
  static LSTM_JAX_INLINE void put(F* to, const V& v) {
    std::memcpy(to, &v, Bytes);
  }

  F* z_of(int64_t t) const { return z_ + t * places_; }

  // The unit that is a cell's of some kind; -1: there is none.
  int64_t unit(int kind, int64_t c) const {
    if (Forgets) {
      constexpr int64_t order[] = {0, 3, 2, 1};  // of kIn, kOut, ...
      return order[kind] * n_.cells + c;
    }
    if (kind == kG) return n_.gates() + c;
    const int64_t first = kind == kIn ? 0 : n_.in_gates;
    return (kind == kIn ? n_.in_gates : n_.out_gates) ? first + c / n_.block
                                                      : -1;
  }

  F& entry(const F* array, int64_t row) const {
    return const_cast<F&>(array[row * a_.lanes + lane_]);
  }

  void load_all() {
    const int64_t S = n_.sources(), C = n_.cells;
    for (int kind = 0; kind < kRows; ++kind)
      for (int64_t c = 0; c < C; ++c)
        if (const int64_t u = unit(kind, c); u >= 0)
          for (int64_t s = 0; s < S; ++s)
            w_[(s * vectors_ + c / W) * kRows * W + kind * W + c % W] =
                entry(a_.w, u * S + s);
    for (int64_t c = 0; c < C; ++c) s_[c] = entry(a_.s_0, c);
    for (int64_t t = 0; t <= kGroup; ++t) z_of(t)[0] = 1;
    for (int64_t i = 0; i < n_.activations(); ++i)
      z_[1 + n_.inputs + i] = entry(a_.y_0, i);
    for (int64_t i = 0; i < n_.kinds() * C; ++i)
      for (int64_t s = 0; s < S; ++s)
        traces_of(s)[i / C * padded_ + i % C] = entry(a_.traces_0, i * S + s);
  }

  void store_all(bool with_net, const Cells& cells) {
    const int64_t S = n_.sources(), C = n_.cells;
    for (int64_t k = 0; k < vectors(); ++k) put(s_ + k * W, cells.s[k]);
    for (int r = 0; r < kRows; ++r)
      for (int64_t k = 0; k < vectors(); ++k)
        put(nets_ + (r * vectors() + k) * W, cells.net[k * kRows + r]);
    for (int64_t c = 0; c < C; ++c) entry(a_.s, c) = s_[c];
    for (int64_t i = 0; i < n_.activations(); ++i)
      entry(a_.y, i) = z_[1 + n_.inputs + i];
    for (int64_t i = 0; i < n_.kinds() * C; ++i)
      for (int64_t s = 0; s < S; ++s)
        entry(a_.traces, i * S + s) = traces_of(s)[i / C * padded_ + i % C];
    for (int64_t c = 0; c < C; ++c)
      for (int kind = 0; kind < kRows; ++kind)
        if (const int64_t u = unit(kind, c); u >= 0)
          entry(a_.net, u) = with_net ? nets_[kind * padded_ + c] : F(0);
  }

  // The input of the `t`-th step; zeros where the lane does not run.
  LSTM_JAX_INLINE void input_of(int64_t t, int64_t at, bool runs) const {
    F* const z = z_of(at) + 1;
    if (t < a_.given)
      for (int64_t k = 0; k < n_.inputs; ++k)
        z[k] = runs ? entry(a_.xs, k * a_.given + t) : F(0);
  }

  LSTM_JAX_INLINE V weights(int64_t s, int64_t k, int kind) const {
    V w;
    std::memcpy(&w, w_ + ((s * vectors_ + k) * kRows + kind) * W, Bytes);
    return w;
  }

  LSTM_JAX_INLINE void plus(int64_t s, F source, V* net) const {
    for (int64_t k = 0; k < vectors(); ++k)
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r)
        net[k * kRows + r] += weights(s, k, r) * each_entry<V>(source);
  }

  // Net inputs: the bias, then source after source; here those from the input
  // lines and from gates.
  LSTM_JAX_INLINE void first_inputs(const F* z, V* net) const {
    for (int64_t k = 0; k < vectors(); ++k)
#pragma GCC unroll 4
      for (int r = 0; r < kRows; ++r) net[k * kRows + r] = weights(0, k, r);
    const int64_t gates = std::max<int64_t>(n_.heard - n_.cells, 0);
    for (int64_t i = 1; i <= n_.inputs + gates; ++i) plus(i, z[i], net);
  }

  // The rest, from cells.
  LSTM_JAX_INLINE void further_inputs(const Cells& cells) const {
    if (n_.heard == 0) return;
    const int64_t first = n_.sources() - n_.cells;
    if constexpr (One) {
      const V y = cells.y[0];
#pragma GCC unroll 8
      for (int c = 0; c < W; ++c) {
        if (c >= n_.cells) break;
        plus(first + c, y[c], cells.net);
      }
    } else {
      for (int64_t c = 0; c < n_.cells; ++c)
        plus(first + c, cells.y[c / W][c % W], cells.net);
    }
  }

  LSTM_JAX_INLINE void get_cells(const F* z, V* y) const {
    const F* const from = z + n_.places() - n_.cells;
    for (int64_t k = 0; k < vectors(); ++k) get(from + k * W, &y[k]);
  }

  // The `t`-th step of the call, whose sources are at `at`.
  LSTM_JAX_INLINE void step(int64_t t, int64_t at, bool runs,
                            const Cells& cells) {
    F* const next = z_of(at + 1) + 1 + n_.inputs;
    F* const factors = factors_ + at * factors_row_;
    F* const decays = decays_ + at * factors_row_;
    for (int64_t k = 0; k < vectors(); ++k) {
      const V* const net = cells.net + k * kRows;
      const V s = cells.s[k];
      V in = each_entry<V>(1), out = in, in_slope{};
      if (Forgets || (n_.in_gates && n_.out_gates)) {
        const auto both = Gate::both(Pack<V, 2>{net[kIn], net[kOut]});
        in = both.y.v[0], out = both.y.v[1], in_slope = both.slope.v[0];
      } else if (n_.in_gates) {
        const auto gate = Gate::both(Pack<V, 1>{net[kIn]});
        in = gate.y.v[0], in_slope = gate.slope.v[0];
      } else if (n_.out_gates) {
        out = Gate::value(Pack<V, 1>{net[kOut]}).v[0];
      }
      const Pack<V, 1> net_g{net[kG]};
      const auto g = Forgets      ? Bent<2, 1>::both(net_g)
                     : n_.g == 0 ? Bent<1, 2>::both(net_g)
                     : n_.g == 1 ? Bent<1, 1>::both(net_g)
                                 : Gate::both(net_g);
      put(factors + k * W, in * g.slope.v[0]);
      if (Forgets || n_.in_gates)
        put(factors + padded_ + k * W, in_slope * g.y.v[0]);
      if constexpr (Forgets) {
        const auto keep = Gate::both(Pack<V, 1>{net[kKeep]});
        put(factors + 2 * padded_ + k * W, keep.slope.v[0] * s);
        for (int kind = 0; kind < 3; ++kind)
          put(decays + kind * padded_ + k * W, keep.y.v[0]);
        cells.s[k] = keep.y.v[0] * s + rounded(in * g.y.v[0]);
      } else {
        cells.s[k] = s + in * g.y.v[0];
      }
      cells.out[k] = out;
      if (!Forgets) put(in_ + k * W, in), put(out_ + k * W, out);
    }
    if (!Forgets) {
      for (int64_t b = 0; b < n_.in_gates; ++b) next[b] = in_[b * n_.block];
      for (int64_t b = 0; b < n_.out_gates; ++b)
        next[n_.in_gates + b] = out_[b * n_.block];
    }
    input_of(t + 1, at + 1, runs);
    first_inputs(z_of(at + 1), cells.net);
    for (int64_t k = 0; k < vectors(); ++k) {
      const Pack<V, 1> s{cells.s[k]};
      const auto h = Forgets      ? Bent<2, 1>::value(s)
                     : n_.h == 0 ? Bent<1, 1>::value(s)
                     : n_.h == 1 ? Bent<1, 2>::value(s)
                                 : s;
      cells.y[k] = cells.out[k] * h.v[0];
      put(next + n_.gates() + k * W, cells.y[k]);
    }
    further_inputs(cells);
  }

  // Sources that lie side by side: all, or 1 and the input lines.
  int64_t side() const {
    return n_.heard == n_.activations() ? n_.sources() : 1 + n_.inputs;
  }

  // Where the traces by a source are. What lies side by side fills whole tiles.
  F* traces_of(int64_t s) const {
    const int64_t gap = s < side() ? 0 : -side() & 3;
    return traces_ + (s + gap) * factors_row_;
  }

  // The products of some steps for the traces, a few sources at a time.
  void add(int64_t steps) const {
    for (int64_t row = 0; row < factors_row_; row += kWidth) {
      auto from = [&](int64_t first) {
        return [this, steps, row, first](int64_t s, auto count) {
          add_tile<T, count.value, Forgets>(
              {traces_of(first + s) + row, factors_ + row, decays_ + row,
               z_ + n_.place(first) + s, factors_row_, factors_row_, places_},
              steps);
        };
      };
      in_tiles(side(), from(0));
      if (side() < n_.sources()) in_tiles(n_.heard, from(side()));
    }
  }

  const Net& n_;
  const RuleArrays<F>& a_;
  const int64_t lane_;
  const int64_t vectors_, padded_, factors_row_, places_;
  Scratch<F> memory_;
  F *traces_, *factors_, *decays_, *w_, *net_, *nets_, *s_, *in_, *out_, *z_;
};

// The steps of one lane. Few cells of float32, the common case, have all in one
// vector of registers; the others have the widest vectors, in memory.
template <class F>
void run_lane(const Net& n, const RuleArrays<F>& a, int64_t lane, int64_t first,
              int64_t steps) {
  auto with = [&](auto bytes, auto one) {
    constexpr int size = bytes.value;
    if (n.forgets) {
      LaneLoop<F, size, one.value, true>(n, a, lane).run(first, steps);
    } else {
      LaneLoop<F, size, one.value, false>(n, a, lane).run(first, steps);
    }
  };
  if constexpr (sizeof(F) == 4) {
    if (n.cells <= 4)
      return with(std::integral_constant<int, 16>(), std::true_type());
    if (kBytes >= 32 && n.cells <= 8)
      return with(std::integral_constant<int, std::min(kBytes, 32)>(),
                  std::true_type());
  }
  with(std::integral_constant<int, kBytes>(), std::false_type());
}

// The steps of all lanes, in groups: where few are left, one after another,
// unless every step leaves something.
template <class F>
void run_lanes(const Net& n, const RuleArrays<F>& a, int64_t first,
               int64_t steps) {
  constexpr int64_t few = std::max(kLanes<F> / 5, 1);
  int64_t lane = 0;
  for (; a.lanes - lane > (a.kept.nets ? 0 : few); lane += kLanes<F>)
    TruncatedLoop<F>(n, a, lane).run(first, steps);
  for (; lane < a.lanes; ++lane) run_lane<F>(n, a, lane, first, steps);
}

}  // namespace lstm_jax

#endif  // LSTM_JAX_NN_NATIVE_TRUNCATED_LANE_H_
