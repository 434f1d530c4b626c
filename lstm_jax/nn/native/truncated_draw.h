// Inputs of tasks whose sequences are drawn by position, made where they are
// used: the bits are those of `ops/prng.py` and `tasks/two_sequence.py`.
#ifndef LSTM_JAX_NN_NATIVE_TRUNCATED_DRAW_H_
#define LSTM_JAX_NN_NATIVE_TRUNCATED_DRAW_H_

#include "arrays.h"
#include "simd.h"

namespace lstm_jax {

// How the inputs of all lanes follow from their keys. A number in [0, 1) is on
// line 0, `scale` of it and `shift`; or, where `symbols` is not negative, the
// leading `bits` of a word pick one of the lines from there on; or, where
// `signal` is not negative, `scale` of a normal number, in the first `signal`
// steps added to the value of the lane or, where not `is_noisy`, hidden by it.
// Then come the events, one after another: at its step one sets a line to its
// value, of a word of symbols the only line that is on.
struct Draws {
  int64_t symbols, bits;
  double scale, shift;
  int64_t signal;
  bool is_noisy;
  int64_t events;
  const uint32_t* key;  // [2, L]
  const int32_t* at;  // [E, 2, L] step and line
  const float* values;  // [E]
  const float* shown;  // [L] value of the signal
};

// Vectors of words and of numbers of as many bytes.
typedef typename Sized<uint32_t, kBytes>::V Words;
typedef typename Sized<int32_t, kBytes>::V Ints;
typedef typename Sized<float, kBytes>::V Floats;

template <class V>
struct Pair {
  V x, y;
};

// threefry2x32 of the counter (0, t).
template <class V>
LSTM_JAX_INLINE Pair<V> words_at(V high, V low, V t) {
  const V keys[3] = {high, low, high ^ low ^ 0x1BD11BDAu};
  constexpr int rotations[2][4] = {{13, 15, 26, 6}, {17, 29, 16, 24}};
  V x = keys[0], y = t + keys[1];
#pragma GCC unroll 5
  for (int group = 0; group < 5; ++group) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const int by = rotations[group % 2][i];
      x += y;
      y = x ^ ((y << by) | (y >> (32 - by)));
    }
    x += keys[(group + 1) % 3];
    y += keys[(group + 2) % 3] + uint32_t(group + 1);
  }
  return {x, y};
}

// The bits of one as the other.
template <class To, class From>
LSTM_JAX_INLINE To bits_as(const From& from) {
  To to;
  static_assert(sizeof to == sizeof from);
  std::memcpy(&to, &from, sizeof to);
  return to;
}

// Below: `_gaussian_at` of `tasks/two_sequence.py`, operation by operation. A
// product that a sum could be fused with is rounded to 23 bits there and here.
LSTM_JAX_INLINE Floats round_product(Floats product) {
  return bits_as<Floats>(bits_as<Ints>(product) & -2);
}

// c[0] + c[1] x + c[2] x^2 + c[3] x^3, by pairs.
LSTM_JAX_INLINE Floats polynomial(const float (&c)[4], Floats x) {
  const Floats low = c[0] + round_product(c[1] * x);
  const Floats high = c[2] + round_product(c[3] * x);
  return low + round_product(x * x * high);
}

LSTM_JAX_INLINE Floats square_root(Floats square) {
  alignas(kBytes) float all[kBytes / 4];
  std::memcpy(all, &square, kBytes);
  for (float& x : all) x = __builtin_sqrtf(x);
  return bits_as<Floats>(all);
}

LSTM_JAX_INLINE Floats normal_number(Pair<Words> words) {
  constexpr float log_of[4] = {0.33272487f, -0.25252153f, 0.21924386f,
                               -0.14702436f};
  constexpr float sine_of[4] = {3.14158202f, -5.1671428f, 2.54189903f,
                                -0.55463621f};
  constexpr int32_t sqrt_half = 0x3F3504F3;
  const auto number = [](Ints i) LSTM_JAX_INLINED {
    return __builtin_convertvector(i, Floats);
  };
  const Floats u = number(bits_as<Ints>(words.x >> 1)) + 0.5f;
  const Ints bits = bits_as<Ints>(u) - sqrt_half;
  const Floats halvings = number(31 - (bits >> 23));
  const Floats x = bits_as<Floats>((bits & 0x7FFFFF) + sqrt_half) - 1.0f;
  const Floats log =
      x - round_product(x * x * (0.5f - round_product(x * polynomial(log_of, x))));
  const Floats square =
      round_product(float(2 * 0.6931471805599453) * halvings) - 2.0f * log;
  const Floats turn = number(bits_as<Ints>(words.y)) * 0x1p-31f;
  const Floats b = bits_as<Floats>(bits_as<Ints>(turn) & 0x7FFFFFFF) - 0.5f;
  return square_root(above(square, 0.0f)) * (b * polynomial(sine_of, b * b));
}

// Inputs `[I, count, L]` of the steps from `first` on. A lane counts from where
// it begins; what stands before that is not read.
template <class F>
class Drawing {
  static constexpr int W = kBytes / 4;

 public:
  Drawing(const Draws& draws, int64_t inputs, int64_t lanes,
          const int32_t* begin)
      : d_(draws), inputs_(inputs), lanes_(lanes), begin_(begin) {}

  void draw(int64_t first, int64_t count, F* xs) const {
    const int64_t line = count * lanes_;
    if (d_.symbols < 0)
      std::memset(xs + line, 0, (inputs_ - 1) * line * sizeof(F));
    if (lanes_ == 1) {
      // Steps side by side.
      Words high = each_entry<Words>(d_.key[0]);
      Words low = each_entry<Words>(d_.key[1]), steps;
      for (int i = 0; i < W; ++i) steps[i] = uint32_t(first + i - begin_[0]);
      for (int64_t t = 0; t < count; t += W, steps += uint32_t(W))
        put(words_at(high, low, steps), xs + t, line,
            int(std::min<int64_t>(W, count - t)));
    } else {
      for (int64_t lane = 0; lane < lanes_; lane += W) {
        const int part = int(std::min<int64_t>(W, lanes_ - lane));
        Words high{}, low{}, t{};
        for (int i = 0; i < part; ++i) {
          high[i] = d_.key[lane + i], low[i] = d_.key[lanes_ + lane + i];
          t[i] = uint32_t(first - begin_[lane + i]);
        }
        for (int64_t i = 0; i < count; ++i, t += 1u)
          put(words_at(high, low, t), xs + i * lanes_ + lane, line, part);
      }
    }
    for (int64_t lane = 0; lane < lanes_; ++lane) show(lane, first, count, xs);
    for (int64_t e = 0; e < d_.events; ++e)
      for (int64_t lane = 0; lane < lanes_; ++lane)
        happen(e, lane, first, count, xs);
  }

 private:
  // What some words say, on all lines or on the first.
  LSTM_JAX_INLINE void put(Pair<Words> both, F* xs, int64_t line,
                           int part) const {
    if (d_.signal >= 0) {
      const Floats x = normal_number(both);
      return store_some(round_product(float(d_.scale) * x), xs, part);
    }
    const Words words = both.x ^ both.y;
    if (d_.symbols < 0) {
      const Floats x = bits_as<Floats>((words >> 9) | 0x3F800000u);
      store_some((x - 1.0f) * float(d_.scale) + float(d_.shift), xs, part);
      return;
    }
    const Words symbols = (words >> (32 - d_.bits)) + uint32_t(d_.symbols);
    const Floats on = each_entry<Floats>(1.0f);
    for (int64_t k = 0; k < inputs_; ++k)
      store_some(symbols == each_entry<Words>(uint32_t(k)) ? on : Floats{},
                 xs + k * line, part);
  }

  static LSTM_JAX_INLINE void store_some(Floats x, F* to, int part) {
    if constexpr (sizeof(F) == 4) {
      store_part(to, x, part);
    } else {
      for (int i = 0; i < part; ++i) to[i] = x[i];
    }
  }

  // The signal of a lane, in those of its first steps that are among these.
  void show(int64_t lane, int64_t first, int64_t count, F* xs) const {
    const int64_t start = begin_[lane] - first;
    const int64_t end = std::min(start + d_.signal, count);
    for (int64_t i = std::max<int64_t>(start, 0); i < end; ++i) {
      F& x = xs[i * lanes_ + lane];
      x = d_.is_noisy ? float(x) + d_.shown[lane] : d_.shown[lane];
    }
  }

  // An event of a lane, if it is among the steps.
  void happen(int64_t e, int64_t lane, int64_t first, int64_t count,
              F* xs) const {
    const int64_t t = d_.at[2 * e * lanes_ + lane];
    const int64_t k = d_.at[(2 * e + 1) * lanes_ + lane];
    const int64_t i = t + begin_[lane] - first;
    if (t < 0 || k < 0 || k >= inputs_ || i < 0 || i >= count) return;
    F* const x = xs + i * lanes_ + lane;
    if (d_.symbols >= 0)
      for (int64_t j = 0; j < inputs_; ++j) x[j * count * lanes_] = 0;
    x[k * count * lanes_] = d_.values[e];
  }

  const Draws& d_;
  const int64_t inputs_, lanes_;
  const int32_t* const begin_;
};

}  // namespace lstm_jax

#endif  // LSTM_JAX_NN_NATIVE_TRUNCATED_DRAW_H_
