// The truncated rule of 1997 on one sequence a lane: the forward pass, and the
// derivatives of the internal states by the weights, ds_c/dw, carried along.
//
// A vector is a group of lanes. Every lane goes through the same operations in
// the same order, whichever others there are and wherever calls are cut.
#ifndef LSTM_JAX_NN_NATIVE_TRUNCATED_H_
#define LSTM_JAX_NN_NATIVE_TRUNCATED_H_

#include <vector>

#include "arrays.h"
#include "squashing.h"
#include "truncated_net.h"

// A part of a step, compiled once for all that has it.
#define LSTM_JAX_APART __attribute__((noinline))

namespace lstm_jax {

// Calls `some(first, count)`, `count` a constant: 8, where `Most` is, 4, 2 or 1.
template <int Most, class Some>
LSTM_JAX_INLINE void in_pieces(int64_t count, const Some& some) {
  int64_t first = 0;
  for (; first + Most <= count; first += Most)
    some(first, std::integral_constant<int, Most>());
  if constexpr (Most > 1)
    in_pieces<Most / 2>(count - first, [&](int64_t more, auto constant) {
      some(first + more, constant);
    });
}

// What a piece of the traces reads and adds to, see `add_products`.
template <class F>
struct Piece {
  using Add = void (*)(const Piece&, int64_t steps, const F* factors,
                       const F* decays, const F* z);
  Add add;
  F* traces;
  int64_t factor, decay, source;  // of the first, within those of a step
  int64_t row, factors, decays, sources;  // sizes of a row, and of a step
};

// R rows and N columns of the traces after some steps: J trace + F z, step by
// step, in registers.
template <class F, int R, int N, bool Decays>
void add_products(const Piece<F>& p, int64_t steps, const F* factors,
                  const F* decays, const F* z) {
  factors += p.factor, decays += p.decay, z += p.source;
  Vec<F> sums[R][N];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int k = 0; k < N; ++k)
      sums[r][k] = load(p.traces + r * p.row + k * kLanes<F>);
  for (int64_t t = 0; t < steps; ++t) {
    Vec<F> sources[N];
#pragma GCC unroll 4
    for (int k = 0; k < N; ++k) sources[k] = load(z + k * kLanes<F>);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      // Read once: a product may else read it where it is.
      const Vec<F> factor = rounded(load(factors + r * kLanes<F>));
#pragma GCC unroll 4
      for (int k = 0; k < N; ++k) {
        Vec<F> trace = sums[r][k];
        if constexpr (Decays)
          trace = rounded(load(decays + r * kLanes<F>) * trace);
        sums[r][k] = trace + factor * sources[k];
      }
    }
    factors += p.factors, decays += p.decays, z += p.sources;
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int k = 0; k < N; ++k)
      store(p.traces + r * p.row + k * kLanes<F>, sums[r][k]);
}

// One group of lanes.
//
// Products for the traces wait until a group of steps is done: a trace is then
// loaded and stored once in so many.
template <class F>
class TruncatedLoop {
 public:
  TruncatedLoop(const Net& n, const RuleArrays<F>& a, int64_t lane)
      : n_(n), a_(a), lane_(lane),
        part_(int(std::min<int64_t>(a.lanes - lane, kLanes<F>))),
        memory_(rows_of(n) * kLanes<F>) {
    F* at = memory_;
    auto take = [&](int64_t rows) {
      F* first = at;
      at += rows * kLanes<F>;
      return first;
    };
    w_ = take(n.sources() * n.units());
    z_ = take((kGroup + 1) * n.places());
    factors_ = take(kGroup * n.kinds() * n.cells);
    decays_ = take(n.forgets ? kGroup * n.cells : 0);
    net_ = take(n.units());
    s_ = take(n.cells);
    slopes_ = take(slopes_of(n));
    gates_ = take(n.forgets ? 3 * n.cells : 0);
    traces_ = take(n.kinds() * n.cells * n.sources());
    cut();
    for (int64_t c = 0; c < n.cells; ++c)
      gate_of_.push_back(c / (n.forgets ? 1 : n.block) * kLanes<F>);
  }

  // Steps `first`, ..., `first + steps - 1`.
  void run(int64_t first, int64_t steps) {
    load_all(first, steps);
    if (a_.given) {
      first_inputs(first, 0, 0);
      further_inputs(z_of(0));
    }
    for (int64_t t = 0; t < steps; ++t) {
      const int64_t at = t % kGroup;
      if (a_.kept.nets) keep_before(t, at);
      if (first + t < last_begin_) {
        step<true>(first + t, t, at);
      } else {
        step<false>(first + t, t, at);
      }
      if (a_.kept.nets) keep_after(t, at);
      further_inputs(z_of(at + 1));
      if (at == kGroup - 1 || t == steps - 1) add(at + 1);
    }
    store_all(z_of(steps % kGroup), steps < a_.given);
  }

 private:
  // Steps whose products are done together.
  static constexpr int kGroup = 16;
  static constexpr int kRows = 8;  // of net inputs
  static constexpr int kHeight = kSums / 3, kColumns = 3;  // of a piece

  // Squashing functions side by side; four take as long.
  static constexpr int kAbreast = 2;

  static int64_t slopes_of(const Net& n) {
    return n.forgets ? 2 * n.cells : n.gates();
  }

  static int64_t rows_of(const Net& n) {
    return n.sources() * n.units() + (kGroup + 1) * n.places() +
           kGroup * (n.kinds() + 1) * n.cells + n.units() +
           4 * n.cells + slopes_of(n) + n.kinds() * n.cells * n.sources();
  }

  // The pieces of the traces.
  void cut() {
    const int64_t S = n_.sources(), C = n_.cells, R = n_.kinds() * C;
    // All sources lie side by side where all activations are heard.
    const int64_t side = n_.place(S - 1) == S - 1 ? S : 1 + n_.inputs;
    auto rows = [&](int64_t first, int64_t count, auto decays) {
      in_pieces<kHeight>(count, [&](int64_t r, auto rows) {
        auto columns = [&](int64_t source, int64_t end) {
          while (source < end) {
            constexpr int height = rows.value;
            constexpr bool J = decays.value;
            const int64_t N = std::min<int64_t>(end - source, kColumns);
            pieces_.push_back(
                {N == 3   ? add_products<F, height, 3, J>
                 : N == 2 ? add_products<F, height, 2, J>
                          : add_products<F, height, 1, J>,
                 traces_ + ((first + r) * S + source) * kLanes<F>,
                 (first + r) * kLanes<F>, r * kLanes<F>,
                 n_.place(source) * kLanes<F>, S * kLanes<F>, R * kLanes<F>,
                 C * kLanes<F>, n_.places() * kLanes<F>});
            source += N;
          }
        };
        columns(0, side);
        columns(side, S);
      });
    };
    if (!n_.forgets) return rows(0, R, std::false_type());
    for (int64_t kind = 0; kind < n_.kinds(); ++kind)
      rows(kind * C, C, std::true_type());
  }

  // What the errors of the `t`-th step need of it.
  void keep_before(int64_t t, int64_t at) const {
    keep(a_.kept.nets, t, net_, n_.units());
    keep(a_.kept.states, t, s_, n_.cells);
    keep(a_.kept.activations, t, z_of(at) + (1 + n_.inputs) * kLanes<F>,
         n_.activations());
  }
  void keep_after(int64_t t, int64_t at) const {
    const int64_t rows = n_.kinds() * n_.cells;
    keep(a_.kept.factors, t, factors_ + at * rows * kLanes<F>, rows);
    if (n_.forgets)
      keep(a_.kept.decays, t, decays_ + at * n_.cells * kLanes<F>, n_.cells);
  }
  void keep(F* array, int64_t t, const F* from, int64_t rows) const {
    F* to = array + t * a_.lanes + lane_;
    for (int64_t r = 0; r < rows; ++r, to += a_.kept.steps * a_.lanes)
      store_part(to, load(from + r * kLanes<F>), part_);
  }

  // The products of the first `steps` steps of a group.
  void add(int64_t steps) {
    if (!a_.kept.nets)
      for (const Piece<F>& piece : pieces_)
        piece.add(piece, steps, factors_, decays_, z_);
    if (steps == kGroup)
      std::memcpy(z_, z_ + kGroup * n_.places() * kLanes<F>,
                  n_.places() * kBytes);
  }

  // The sources of a step of the call: 1, inputs, activations. Those of the one
  // after a group lie behind it, and in front when its products are done.
  LSTM_JAX_INLINE F* z_of(int64_t t) const {
    return z_ + t * n_.places() * kLanes<F>;
  }

  Vec<F> from(const F* array, int64_t row) const {
    return load_part(array + row * a_.lanes + lane_, part_);
  }

  void load_all(int64_t first, int64_t steps) {
    const int64_t S = n_.sources(), U = n_.units();
    for (int64_t u = 0; u < U; ++u)
      for (int64_t s = 0; s < S; ++s)
        store(w_ + (s * U + u) * kLanes<F>, from(a_.w, u * S + s));
    for (int64_t c = 0; c < n_.cells; ++c)
      store(s_ + c * kLanes<F>, from(a_.s_0, c));
    for (int64_t i = 0; i < n_.activations(); ++i)
      store(z_ + (1 + n_.inputs + i) * kLanes<F>, from(a_.y_0, i));
    if (!a_.kept.nets)
      for (int64_t i = 0; i < n_.kinds() * n_.cells * S; ++i)
        store(traces_ + i * kLanes<F>, from(a_.traces_0, i));
    for (int64_t t = 0; t <= kGroup; ++t) store(z_of(t), splat<F>(1));
    // Lanes that are not there begin with the others.
    typename Kind<F>::Int begin[kLanes<F>];
    last_begin_ = first;
    for (int i = 0; i < kLanes<F>; ++i) {
      begin[i] = i < part_ ? a_.begin[lane_ + i] : int32_t(first);
      last_begin_ = std::max<int64_t>(last_begin_, begin[i]);
    }
    std::memcpy(&begin_, begin, kBytes);
    last_begin_ = std::min(last_begin_, first + steps);
  }

  void store_all(const F* z, bool with_net) {
    auto to = [&](F* array, int64_t row, const F* vector) {
      store_part(array + row * a_.lanes + lane_, load(vector), part_);
    };
    for (int64_t c = 0; c < n_.cells; ++c) to(a_.s, c, s_ + c * kLanes<F>);
    for (int64_t i = 0; i < n_.activations(); ++i)
      to(a_.y, i, z + (1 + n_.inputs + i) * kLanes<F>);
    if (a_.kept.nets) return;
    for (int64_t i = 0; i < n_.kinds() * n_.cells * n_.sources(); ++i)
      to(a_.traces, i, traces_ + i * kLanes<F>);
    const Vec<F> nothing{};
    for (int64_t u = 0; u < n_.units(); ++u)
      store_part(a_.net + u * a_.lanes + lane_,
                 with_net ? load(net_ + u * kLanes<F>) : nothing, part_);
  }

  // Net inputs, unit by unit: the bias, then source after source; here those
  // from the input lines of step `i`, the `t`-th, and from gates.
  LSTM_JAX_APART void first_inputs(int64_t i, int64_t t, int64_t at) const {
    const int64_t count = n_.inputs, lanes = a_.lanes;
    const int part = part_;
    F* const z = z_of(at);
    const int64_t line = a_.given * lanes;
    const F* x = a_.xs + t * lanes + lane_;
    if (t < a_.given)
      for (int64_t k = 0; k < count; ++k)
        store(z + (1 + k) * kLanes<F>, load_part(x + k * line, part));
    if (i < last_begin_) {
      const typename Kind<F>::I runs = begin_ <= typename Kind<F>::Int(i);
      for (F* x = z + kLanes<F>; x < z + (1 + count) * kLanes<F>; x += kLanes<F>)
        store(x, runs ? load(x) : Vec<F>{});
    }
    const int64_t row = n_.units() * kLanes<F>;
    const int64_t gates = std::max<int64_t>(n_.heard - n_.cells, 0);
    F* const net = net_;
    in_pieces<kRows>(n_.units(), [&](int64_t u, auto rows) LSTM_JAX_INLINED {
      constexpr int R = rows.value;
      const F* w = w_ + u * kLanes<F>;
      Vec<F> sums[R];
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) sums[r] = load(w + r * kLanes<F>);
      products<R>(w + row, row, z + kLanes<F>, count + gates, sums);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) store(net + (u + r) * kLanes<F>, sums[r]);
    });
  }

  // The rest, from cells.
  LSTM_JAX_APART void further_inputs(const F* z) const {
    const int64_t count = std::min(n_.heard, n_.cells);
    const int64_t row = n_.units() * kLanes<F>;
    const F* const y = z + (n_.places() - count) * kLanes<F>;
    const F* const weights = w_ + (n_.sources() - count) * row;
    F* const net = net_;
    in_pieces<kRows>(n_.units(), [&](int64_t u, auto rows) LSTM_JAX_INLINED {
      constexpr int R = rows.value;
      Vec<F> sums[R];
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) sums[r] = load(net + (u + r) * kLanes<F>);
      products<R>(weights + u * kLanes<F>, row, y, count, sums);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) store(net + (u + r) * kLanes<F>, sums[r]);
    });
  }

  template <int R>
  static LSTM_JAX_INLINE void products(const F* w, int64_t row, const F* z,
                                       int64_t count, Vec<F> (&sums)[R]) {
    for (int64_t i = 0; i < count; ++i, w += row, z += kLanes<F>) {
      const Vec<F> source = load(z);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) sums[r] += load(w + r * kLanes<F>) * source;
    }
  }

  // Step `i`, the `t`-th of the call. Lanes that have not begun, where there
  // may be `Some`, stand still.
  template <bool Some>
  LSTM_JAX_INLINE void step(int64_t i, int64_t t, int64_t at) {
    if (Some) runs_ = begin_ <= typename Kind<F>::Int(i);
    if (n_.forgets) {
      forgetting<Some>(at);
      first_inputs(i + 1, t + 1, at + 1);
      return outputs<Bent<2, 1>, Some>(at);
    }
    gates<Some>(at);
    if (n_.g == 0) states<Bent<1, 2>, Some>(at);
    if (n_.g == 1) states<Bent<1, 1>, Some>(at);
    if (n_.g == 2) states<Gate, Some>(at);
    first_inputs(i + 1, t + 1, at + 1);
    if (n_.h == 0) outputs<Bent<1, 1>, Some>(at);
    if (n_.h == 1) outputs<Bent<1, 2>, Some>(at);
    if (n_.h == 2) outputs<Identity, Some>(at);
  }

  // Stores what a lane that runs has made; the others keep what they had.
  template <bool Some>
  LSTM_JAX_INLINE void put(F* to, Vec<F> now, Vec<F> otherwise) const {
    store(to, Some ? (runs_ ? now : otherwise) : now);
  }

  // Activations of gates, and slopes. What a lane that stands still makes of
  // its old ones is not kept.
  template <bool Some>
  LSTM_JAX_APART void gates(int64_t at) const {
    constexpr int lanes = kLanes<F>;
    const F* const y = z_of(at) + (1 + n_.inputs) * lanes;
    F* const y_next = z_of(at + 1) + (1 + n_.inputs) * lanes;
    // A store may be one to a member, for all that the compiler knows.
    F *const net = net_, *const slopes = slopes_;
    in_pieces<kAbreast>(n_.gates(), [&](int64_t k, auto some) LSTM_JAX_INLINED {
      const auto gate = Gate::both(several<some.value>(net + k * lanes));
#pragma GCC unroll 8
      for (int n = 0; n < some.value; ++n) {
        store(slopes + (k + n) * lanes, gate.slope.v[n]);
        put<Some>(y_next + (k + n) * lanes, gate.y.v[n],
                  load(y + (k + n) * lanes));
      }
    });
  }

  // s += y_in g; ds/dnet of g and of y_in.
  template <class G, bool Some>
  LSTM_JAX_APART void states(int64_t at) const {
    constexpr int lanes = kLanes<F>;
    const int64_t cells = n_.cells;
    const bool gated = n_.in_gates > 0;
    F* const factors = factors_ + at * n_.kinds() * cells * lanes;
    const F* const y_in = z_of(at + 1) + (1 + n_.inputs) * lanes;
    const F *const net = net_ + n_.gates() * lanes, *const slopes = slopes_;
    F* const states = s_;
    const int64_t* const gate_of = gate_of_.data();
    in_pieces<kAbreast>(cells, [&](int64_t c, auto some) LSTM_JAX_INLINED {
      const auto g = G::both(several<some.value>(net + c * lanes));
#pragma GCC unroll 8
      for (int n = 0; n < some.value; ++n) {
        const Vec<F> s = load(states + (c + n) * lanes), none{};
        F* const factor = factors + (c + n) * lanes;
        if (!gated) {
          put<Some>(factor, g.slope.v[n], none);
          put<Some>(states + (c + n) * lanes, s + g.y.v[n], s);
          continue;
        }
        const int64_t own = gate_of[c + n];
        const Vec<F> gate = load(y_in + own);
        put<Some>(factor, gate * g.slope.v[n], none);
        put<Some>(factor + cells * lanes, load(slopes + own) * g.y.v[n], none);
        put<Some>(states + (c + n) * lanes, s + gate * g.y.v[n], s);
      }
    });
  }

  // s = y_f s + y_in g; ds/dnet of g, y_in and y_f, and ds/ds one step ago.
  template <bool Some>
  LSTM_JAX_APART void forgetting(int64_t at) const {
    constexpr int lanes = kLanes<F>;
    const int64_t C = n_.cells, size = C * lanes;
    F* const factors = factors_ + at * n_.kinds() * size;
    F* const decays = decays_ + at * size;
    F *const net = net_, *const states = s_, *const slopes = slopes_;
    F *const in = gates_, *const keep = in + size, *const out = keep + size;
    in_pieces<kAbreast>(2 * C, [&](int64_t k, auto some) LSTM_JAX_INLINED {
      const auto gate = Gate::both(several<some.value>(net + k * lanes));
#pragma GCC unroll 8
      for (int n = 0; n < some.value; ++n) {
        store(in + (k + n) * lanes, gate.y.v[n]);
        store(slopes + (k + n) * lanes, gate.slope.v[n]);
      }
    });
    in_pieces<kAbreast>(C, [&](int64_t c, auto some) LSTM_JAX_INLINED {
      const auto g =
          Bent<2, 1>::both(several<some.value>(net + 2 * size + c * lanes));
#pragma GCC unroll 8
      for (int n = 0; n < some.value; ++n) {
        const int64_t own = (c + n) * lanes;
        const Vec<F> s = load(states + own), y_in = load(in + own), none{};
        const Vec<F> y_f = load(keep + own);
        put<Some>(factors + own, y_in * g.slope.v[n], none);
        put<Some>(factors + size + own, load(slopes + own) * g.y.v[n], none);
        put<Some>(factors + 2 * size + own, load(slopes + size + own) * s,
                  none);
        store(decays + own, y_f);
        put<Some>(states + own, y_f * s + rounded(y_in * g.y.v[n]), s);
      }
    });
    in_pieces<kAbreast>(C, [&](int64_t c, auto some) LSTM_JAX_INLINED {
      const auto gate =
          Gate::value(several<some.value>(net + 3 * size + c * lanes));
#pragma GCC unroll 8
      for (int n = 0; n < some.value; ++n)
        store(out + (c + n) * lanes, gate.v[n]);
    });
  }

  // y_c = y_out h(s).
  template <class H, bool Some>
  LSTM_JAX_APART void outputs(int64_t at) const {
    constexpr int lanes = kLanes<F>;
    const int64_t gates = n_.gates();
    const bool gated = n_.forgets || n_.out_gates;
    const F* const y = z_of(at) + (1 + n_.inputs) * lanes;
    F* const y_next = z_of(at + 1) + (1 + n_.inputs) * lanes;
    const F* const out = n_.forgets ? gates_ + 2 * n_.cells * lanes
                                    : y_next + n_.in_gates * lanes;
    const F* const states = s_;
    const int64_t* const gate_of = gate_of_.data();
    in_pieces<kAbreast>(n_.cells, [&](int64_t c, auto some) LSTM_JAX_INLINED {
      const auto h = H::value(several<some.value>(states + c * lanes));
#pragma GCC unroll 8
      for (int n = 0; n < some.value; ++n) {
        const int64_t own = (gates + c + n) * lanes;
        Vec<F> y_c = h.v[n];
        if (gated) y_c = load(out + gate_of[c + n]) * y_c;
        put<Some>(y_next + own, y_c, load(y + own));
      }
    });
  }

  template <int N>
  static LSTM_JAX_INLINE Pack<Vec<F>, N> several(const F* from) {
    return each<Vec<F>, N>(
        [&](int i) LSTM_JAX_INLINED { return load(from + i * kLanes<F>); });
  }

  const Net& n_;
  const RuleArrays<F>& a_;
  const int64_t lane_;
  const int part_;  // lanes of the group that are there
  Scratch<F> memory_;
  F *w_, *z_, *factors_, *decays_, *net_, *s_, *slopes_, *gates_, *traces_;
  std::vector<Piece<F>> pieces_;
  std::vector<int64_t> gate_of_;  // where a cell's gate is among its kind
  typename Kind<F>::I begin_, runs_;
  int64_t last_begin_;  // from there on all lanes run
};

}  // namespace lstm_jax

#endif  // LSTM_JAX_NN_NATIVE_TRUNCATED_H_
