// Inputs of tasks whose sequences are drawn by position, made where they are
// used: the bits are those of `ops/prng.py`.
#ifndef LSTM_JAX_NN_NATIVE_TRUNCATED_DRAW_H_
#define LSTM_JAX_NN_NATIVE_TRUNCATED_DRAW_H_

#include "arrays.h"
#include "simd.h"

namespace lstm_jax {

// How the inputs of all lanes follow from their keys. A number in [0, 1) is on
// line 0, `scale` of it and `shift`; or, where `symbols` is not negative, the
// leading `bits` of a word pick one of the lines from there on. Then come the
// events, one after another: at its step one sets a line to its value, of a
// word of symbols the only line that is on.
struct Draws {
  int64_t symbols, bits;
  double scale, shift;
  int64_t events;
  const uint32_t* key;  // [2, L]
  const int32_t* at;  // [E, 2, L] step and line
  const float* values;  // [E]
};

// threefry2x32 of the counter (0, t), both words of it in one.
template <class V>
LSTM_JAX_INLINE V bits_at(V high, V low, V t) {
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
  return x ^ y;
}

// Inputs `[I, count, L]` of the steps from `first` on. A lane counts from where
// it begins; what stands before that is not read.
template <class F>
class Drawing {
  typedef typename Sized<uint32_t, kBytes>::V Words;
  typedef typename Sized<float, kBytes>::V Floats;
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
        put(bits_at(high, low, steps), xs + t, line,
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
          put(bits_at(high, low, t), xs + i * lanes_ + lane, line, part);
      }
    }
    for (int64_t e = 0; e < d_.events; ++e)
      for (int64_t lane = 0; lane < lanes_; ++lane)
        happen(e, lane, first, count, xs);
  }

 private:
  // What some words say, on all lines or on the first.
  LSTM_JAX_INLINE void put(Words words, F* xs, int64_t line, int part) const {
    if (d_.symbols < 0) {
      const Words ones = (words >> 9) | 0x3F800000u;
      Floats x;
      std::memcpy(&x, &ones, sizeof x);
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
