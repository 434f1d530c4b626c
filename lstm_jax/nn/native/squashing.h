// Squashing functions of several vectors at once, each with its slope.
//
// A processor looks ahead a hundred operations or two, and the functions of one
// vector after another would all wait for the first: here vectors take turns.
// Quotients are divisions, which have the same bits on all processors and are
// done beside the products.
#ifndef LSTM_JAX_NN_NATIVE_SQUASHING_H_
#define LSTM_JAX_NN_NATIVE_SQUASHING_H_

#include "simd.h"

namespace lstm_jax {

template <class V, int N>
struct Pack {
  V v[N];
};

// Of each of N vectors.
template <class V, int N, class Some>
LSTM_JAX_INLINE Pack<V, N> each(const Some& some) {
  Pack<V, N> made;
#pragma GCC unroll 8
  for (int i = 0; i < N; ++i) made.v[i] = some(i);
  return made;
}

// e^-|m x| = power (even + odd) / (even - odd), m = `Times`, as `exponential`
// has it; not below e^-most.
template <class V, int Times, int N>
struct Powers {
  using F = Scalar<V>;
  Pack<V, N> power, even, odd;

  LSTM_JAX_INLINED Powers(const Pack<V, N>& x, F most) {
    using K = Kind<F>;
    constexpr int m = K::kOrder;
    F p[m + 1] = {1};
#pragma GCC unroll 8
    for (int j = 1; j <= m; ++j)
      p[j] = p[j - 1] * F(m - j + 1) / F((2 * m - j + 1) * j);
    constexpr int last = m - m % 2, last_odd = m - 1 + m % 2;
    const auto below = each<V, N>([&](int i) LSTM_JAX_INLINED {
      return above(below_zero(x.v[i]), -most / Times);
    });
    const auto moved = each<V, N>([&](int i) LSTM_JAX_INLINED {
      return below.v[i] * (Times * K::kLog2e) + K::kRound;
    });
    const auto n = each<V, N>(
        [&](int i) LSTM_JAX_INLINED { return moved.v[i] - K::kRound; });
    auto r = each<V, N>([&](int i) LSTM_JAX_INLINED {
      return F(Times) * below.v[i] - n.v[i] * K::kLn2;
    });
    power = each<V, N>([&](int i) LSTM_JAX_INLINED {
      Bits<V> bits;
      V two_to_n;
      std::memcpy(&bits, &moved.v[i], sizeof(V));
      bits = (bits << K::kMantissa) + K::kOne;
      std::memcpy(&two_to_n, &bits, sizeof(V));
      return two_to_n;
    });
    r = each<V, N>([&](int i) LSTM_JAX_INLINED {
      return r.v[i] - n.v[i] * K::kLn2Rest;
    });
    const auto square = each<V, N>(
        [&](int i) LSTM_JAX_INLINED { return r.v[i] * r.v[i]; });
    odd = each<V, N>([&](int) LSTM_JAX_INLINED { return each_entry<V>(p[last_odd]); });
    even = each<V, N>([&](int) LSTM_JAX_INLINED { return each_entry<V>(p[last]); });
#pragma GCC unroll 8
    for (int j = std::max(last, last_odd) - 1; j >= 0; --j) {
      Pack<V, N>& of = j % 2 ? odd : even;
      if (j < (j % 2 ? last_odd : last))
        of = each<V, N>([&](int i) LSTM_JAX_INLINED {
          return of.v[i] * square.v[i] + p[j];
        });
    }
    odd = each<V, N>(
        [&](int i) LSTM_JAX_INLINED { return odd.v[i] * r.v[i]; });
  }
};

template <class V, int N>
struct Squashed {
  Pack<V, N> y, slope;
};

// f(x) = 1 / (1 + e^-x): q = 1 / (1 + e^|x|) below 0 and 1 - q above, so that it
// is as small as e^x; its slope is q (1 - q).
struct Gate {
  template <class V, int N>
  static LSTM_JAX_INLINE Squashed<V, N> both(const Pack<V, N>& x) {
    using F = Scalar<V>;
    const Powers<V, 1, N> e(x, Kind<F>::kMost);
    const auto small = each<V, N>([&](int i) LSTM_JAX_INLINED {
      return e.power.v[i] * (e.even.v[i] + e.odd.v[i]);
    });
    const auto q = each<V, N>([&](int i) LSTM_JAX_INLINED {
      return small.v[i] / ((e.even.v[i] - e.odd.v[i]) + small.v[i]);
    });
    const auto more =
        each<V, N>([&](int i) LSTM_JAX_INLINED { return F(1) - q.v[i]; });
    return {each<V, N>([&](int i) LSTM_JAX_INLINED {
              return x.v[i] < F(0) ? q.v[i] : more.v[i];
            }),
            each<V, N>([&](int i) LSTM_JAX_INLINED {
              return q.v[i] * more.v[i];
            })};
  }
  template <class V, int N>
  static LSTM_JAX_INLINE Pack<V, N> value(const Pack<V, N>& x) {
    return both(x).y;
  }
};

// Range tanh(m x / 2), m = `Times`, in float: a quotient x P(x^2) / Q(x^2), that
// of least relative error (7e-9) up to where it is 1. Half the operations, and
// half the time until the last, of what double has.
template <int Times, int Range, class V, int N>
LSTM_JAX_INLINE Pack<V, N> hyperbolic_in_float(const Pack<V, N>& x) {
  // Of tanh(x); powers of two put into them change no bit.
  constexpr float over[] = {1.0f,
                            0.13083156943321228f,
                            0.0031030012760311365f,
                            1.1144255040562712e-05f,
                            -2.0183968274523068e-08f,
                            5.2577803222320085e-11f,
                            -8.436052420859874e-14f};
  constexpr float under[] = {1.0f, 0.4641648232936859f, 0.024491380900144577f,
                             0.00025447510415688157f};
  constexpr float half = Times * 0.5f, most = 9.02f / half;
  constexpr float two = half * half;
  constexpr float first = Range * half, powers[] = {
      1, two, two * two, two * two * two, two * two * two * two,
      two * two * two * two * two, two * two * two * two * two * two};
  const auto in = each<V, N>(
      [&](int i) LSTM_JAX_INLINED { return within(x.v[i], most); });
  const auto square = each<V, N>(
      [&](int i) LSTM_JAX_INLINED { return in.v[i] * in.v[i]; });
  auto p = each<V, N>(
      [&](int) LSTM_JAX_INLINED { return each_entry<V>(first * powers[6] * over[6]); });
  auto q = each<V, N>(
      [&](int) LSTM_JAX_INLINED { return each_entry<V>(powers[3] * under[3]); });
#pragma GCC unroll 8
  for (int j = 5; j >= 0; --j) {
    p = each<V, N>([&](int i) LSTM_JAX_INLINED {
      return p.v[i] * square.v[i] + first * powers[j] * over[j];
    });
    if (j < 3)
      q = each<V, N>([&](int i) LSTM_JAX_INLINED {
        return q.v[i] * square.v[i] + powers[j] * under[j];
      });
  }
  p = each<V, N>([&](int i) LSTM_JAX_INLINED { return p.v[i] * in.v[i]; });
  return each<V, N>([&](int i) LSTM_JAX_INLINED {
    // Not by rounding larger than 1.
    return within(p.v[i] / q.v[i], Range);
  });
}

// In double: its size is (1 - e^-|mx|) / (1 + e^-|mx|), accurate near 0, where
// `power` is 1 and it is -odd / even.
template <int Times, int Range, class V, int N>
LSTM_JAX_INLINE Pack<V, N> hyperbolic_in_double(const Pack<V, N>& x) {
  const Powers<V, Times, N> e(x, 40);
  const auto less = each<V, N>(
      [&](int i) LSTM_JAX_INLINED { return 1.0 - e.power.v[i]; });
  const auto more = each<V, N>(
      [&](int i) LSTM_JAX_INLINED { return 1.0 + e.power.v[i]; });
  const auto over = each<V, N>([&](int i) LSTM_JAX_INLINED {
    return rounded(less.v[i] * e.even.v[i]) - more.v[i] * e.odd.v[i];
  });
  const auto under = each<V, N>([&](int i) LSTM_JAX_INLINED {
    return rounded(more.v[i] * e.even.v[i]) - less.v[i] * e.odd.v[i];
  });
  return each<V, N>([&](int i) LSTM_JAX_INLINED {
    const V size = below(over.v[i] / under.v[i], 1);
    return signed_as<V>(x.v[i], double(Range) * size);
  });
}

// Range tanh(m x / 2).
template <int Times, int Range>
struct Bent {
  template <class V, int N>
  static LSTM_JAX_INLINE Pack<V, N> value(const Pack<V, N>& x) {
    if constexpr (sizeof(Scalar<V>) == 4)
      return hyperbolic_in_float<Times, Range>(x);
    else
      return hyperbolic_in_double<Times, Range>(x);
  }
  template <class V, int N>
  static LSTM_JAX_INLINE Squashed<V, N> both(const Pack<V, N>& x) {
    using F = Scalar<V>;
    constexpr F whole = F(Range), half = F(Times) / 2;
    const auto y = value(x);
    return {y, each<V, N>([&](int i) LSTM_JAX_INLINED {
              return (whole - y.v[i]) * (half + half / whole * y.v[i]);
            })};
  }
};

struct Identity {
  template <class V, int N>
  static LSTM_JAX_INLINE Pack<V, N> value(const Pack<V, N>& x) {
    return x;
  }
};

}  // namespace lstm_jax

#endif  // LSTM_JAX_NN_NATIVE_SQUASHING_H_
