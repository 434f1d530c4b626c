// Vectors of the widest kind that the processor has, and the two squashing
// functions on them.
#ifndef LSTM_JAX_NATIVE_VECTOR_H_
#define LSTM_JAX_NATIVE_VECTOR_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

// Of a vector in memory half the time is gone: functions on them are inlined.
#define LSTM_JAX_INLINE inline __attribute__((always_inline))

namespace lstm_jax {

// Bytes of a vector, and rows of a product that are computed together: rows
// times four vectors of sums must fit the registers.
#if defined(__AVX512F__)
constexpr int kBytes = 64;
constexpr int kRows = 6;
#elif defined(__AVX__)
constexpr int kBytes = 32;
constexpr int kRows = 2;
#elif defined(__aarch64__)
constexpr int kBytes = 16;
constexpr int kRows = 6;
#else
constexpr int kBytes = 16;
constexpr int kRows = 2;
#endif

template <class F>
struct Kind;

template <>
struct Kind<float> {
  typedef float V __attribute__((vector_size(kBytes)));
  typedef int32_t I __attribute__((vector_size(kBytes)));
  static constexpr float kLog2e = 1.4426950408889634f;
  static constexpr float kLn2 = 0.693147182464599609375f;  // the float nearest
  static constexpr float kLn2Rest = -1.904654299957682e-09f;
  static constexpr float kRound = 12582912.0f;  // 1.5 2^23
  static constexpr float kMost = 80.0f;
  static constexpr int kMantissa = 23;
  static constexpr int32_t kOne = 0x3f800000;
  static constexpr int kDegree = 7;
};

template <>
struct Kind<double> {
  typedef double V __attribute__((vector_size(kBytes)));
  typedef int64_t I __attribute__((vector_size(kBytes)));
  static constexpr double kLog2e = 1.4426950408889634;
  static constexpr double kLn2 = 0.69314718055994530942;
  static constexpr double kLn2Rest = 2.3190468138462996e-17;
  static constexpr double kRound = 6755399441055744.0;  // 1.5 2^52
  static constexpr double kMost = 700.0;
  static constexpr int kMantissa = 52;
  static constexpr int64_t kOne = 0x3ff0000000000000;
  static constexpr int kDegree = 13;
};

template <class F>
using Vec = typename Kind<F>::V;
template <class F>
constexpr int kLanes = kBytes / int(sizeof(F));

template <class F>
LSTM_JAX_INLINE Vec<F> load(const F* from) {
  Vec<F> v;
  std::memcpy(&v, from, kBytes);
  return v;
}

template <class F>
LSTM_JAX_INLINE void store(F* to, Vec<F> v) {
  std::memcpy(to, &v, kBytes);
}

template <class F>
LSTM_JAX_INLINE Vec<F> splat(F s) {
  return s - Vec<F>{};  // s + 0 would not be s where s is -0
}

// The first `count` entries, with zeros behind them.
template <class F>
LSTM_JAX_INLINE Vec<F> load_part(const F* from, int count) {
  if (count >= kLanes<F>) return load(from);
#if defined(__AVX512F__)
  if constexpr (sizeof(F) == 4) {
    return (Vec<F>)_mm512_maskz_loadu_ps((1u << count) - 1, from);
  } else {
    return (Vec<F>)_mm512_maskz_loadu_pd((1u << count) - 1, from);
  }
#else
  Vec<F> v = {};
  std::memcpy(&v, from, count * sizeof(F));
  return v;
#endif
}

template <class F>
LSTM_JAX_INLINE void store_part(F* to, Vec<F> v, int count) {
  if (count >= kLanes<F>) return store(to, v);
#if defined(__AVX512F__)
  if constexpr (sizeof(F) == 4) {
    _mm512_mask_storeu_ps(to, (1u << count) - 1, (__m512)v);
  } else {
    _mm512_mask_storeu_pd(to, (1u << count) - 1, (__m512d)v);
  }
#else
  std::memcpy(to, &v, count * sizeof(F));
#endif
}

template <class F>
LSTM_JAX_INLINE void copy(const F* from, int64_t count, F* to) {
  for (int64_t i = 0; i < count; i += kLanes<F>) {
    const int part = int(std::min<int64_t>(count - i, kLanes<F>));
    store_part(to + i, load_part(from + i, part), part);
  }
}

// 1 / v for v in [1, e^80]: to the last bit or the one before.
template <class F>
LSTM_JAX_INLINE Vec<F> reciprocal(Vec<F> v) {
#if defined(__AVX512F__)
  if constexpr (sizeof(F) == 4) {
    // A guess of 14 bits and one step of Newton, a third of a division's time.
    Vec<F> y = (Vec<F>)_mm512_rcp14_ps((__m512)v);
    return y + y * (F(1) - v * y);
  }
#endif
  return F(1) / v;
}

// e^x = 2^n (1 + p): `power` is 2^n and `p` accurate relative to itself.
template <class F>
struct Exponential {
  Vec<F> power, p;
};

template <class F>
LSTM_JAX_INLINE Exponential<F> exponential(Vec<F> x, F most) {
  using K = Kind<F>;
  // Comparisons with nan are false: nan stays nan.
  x = x > most ? splat<F>(most) : x;
  x = x < -most ? splat<F>(-most) : x;
  Vec<F> moved = x * K::kLog2e + K::kRound;
  Vec<F> n = moved - K::kRound;
  typename K::I bits;
  std::memcpy(&bits, &moved, kBytes);
  bits = (bits << K::kMantissa) + K::kOne;
  Vec<F> r = x - n * K::kLn2;
  r = r - n * K::kLn2Rest;
  // The Taylor series to r^degree / degree!, |r| <= ln(2) / 2.
  F factorial = 1;
  for (int k = 2; k <= K::kDegree; ++k) factorial *= k;
  Vec<F> sum = splat<F>(F(1) / factorial);
#pragma GCC unroll 16
  for (int k = K::kDegree - 1; k >= 1; --k) {
    factorial /= k + 1;
    sum = sum * r + F(1) / factorial;
  }
  Exponential<F> e;
  std::memcpy(&e.power, &bits, kBytes);
  e.p = sum * r;
  return e;
}

// 1 / (1 + e^-x).
template <class F>
LSTM_JAX_INLINE Vec<F> logistic(Vec<F> x) {
  Exponential<F> e = exponential<F>(-x, Kind<F>::kMost);
  return reciprocal<F>((e.power + F(1)) + e.power * e.p);
}

// (e^2x - 1) / (e^2x + 1); accurate near 0, where e^2x - 1 is p itself.
template <class F>
LSTM_JAX_INLINE Vec<F> hyperbolic(Vec<F> x) {
  Exponential<F> e = exponential<F>(x + x, F(40));
  Vec<F> less = e.power * e.p + (e.power - F(1));
  return less * reciprocal<F>(less + F(2));
}

}  // namespace lstm_jax

#endif  // LSTM_JAX_NATIVE_VECTOR_H_
