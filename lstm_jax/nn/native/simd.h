// Vectors of the widest kind that the processor has, and the two squashing
// functions on them.
#ifndef LSTM_JAX_NN_NATIVE_SIMD_H_
#define LSTM_JAX_NN_NATIVE_SIMD_H_

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>
#if defined(__AVX__)
#include <immintrin.h>
#endif

// Of a vector in memory half the time is gone: functions on them are inlined.
#define LSTM_JAX_INLINED __attribute__((always_inline))
#define LSTM_JAX_INLINE inline LSTM_JAX_INLINED

namespace lstm_jax {

// Bytes of a vector, and vectors of sums that registers hold besides what is
// added to them: three quarters of 32 or of 16.
#if defined(__AVX512F__)
constexpr int kBytes = 64;
constexpr int kSums = 24;
#elif defined(__AVX__)
constexpr int kBytes = 32;
constexpr int kSums = 12;
#elif defined(__aarch64__)
constexpr int kBytes = 16;
constexpr int kSums = 24;
#else
constexpr int kBytes = 16;
constexpr int kSums = 12;
#endif

template <class F>
struct Kind;

template <>
struct Kind<float> {
  typedef float V __attribute__((vector_size(kBytes)));
  typedef int32_t Int;
  typedef Int I __attribute__((vector_size(kBytes)));
  static constexpr float kLog2e = 1.4426950408889634f;
  static constexpr float kLn2 = 0.693359375f;
  static constexpr float kLn2Rest = -0.00021219444005469058f;
  static constexpr float kRound = 12582912.0f;  // 1.5 2^23
  static constexpr float kMost = 88.0f;  // e^-x is 0 from there on
  static constexpr float kFlat = 9.02f;  // tanh(x) is 1 from there on
  static constexpr int kMantissa = 23;
  static constexpr int32_t kOne = 0x3f800000;
  static constexpr int kOrder = 3;
};

template <>
struct Kind<double> {
  typedef double V __attribute__((vector_size(kBytes)));
  typedef int64_t Int;
  typedef Int I __attribute__((vector_size(kBytes)));
  static constexpr double kLog2e = 1.4426950408889634;
  static constexpr double kLn2 = 0.693145751953125;
  static constexpr double kLn2Rest = 1.4286068203094172e-06;
  static constexpr double kRound = 6755399441055744.0;  // 1.5 2^52
  static constexpr double kMost = 709.0;
  static constexpr double kFlat = 19.07;
  static constexpr int kMantissa = 52;
  static constexpr int64_t kOne = 0x3ff0000000000000;
  static constexpr int kOrder = 6;
};

template <class F>
using Vec = typename Kind<F>::V;
template <class F>
constexpr int kLanes = kBytes / int(sizeof(F));

// Of a vector of any size: the type of an entry, and vectors of integers.
template <class V>
using Scalar = std::decay_t<decltype(std::declval<V&>()[0])>;
template <class F, int bytes>
struct Sized {
  typedef F V __attribute__((vector_size(bytes)));
};
template <class V>
using Bits = typename Sized<typename Kind<Scalar<V>>::Int, sizeof(V)>::V;

template <class V>
LSTM_JAX_INLINE V each_entry(Scalar<V> s) {
  return s - V{};  // s + 0 would not be s where s is -0
}

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
  return each_entry<Vec<F>>(s);
}

// The first `count` of up to 2 half - 1 entries. A copy of a number of bytes
// that the compiler does not know is a call.
template <class F, int half>
LSTM_JAX_INLINE void copy_part(const F* from, int count, F* to) {
  if constexpr (half > 0) {
    if (count & half) {
      std::memcpy(to, from, half * sizeof(F));
      to += half, from += half;
    }
    copy_part<F, half / 2>(from, count, to);
  }
}

#if defined(__AVX__) && !defined(__AVX512F__)
// Bits set in the first `count` of eight or of four entries.
template <class F>
LSTM_JAX_INLINE __m256i mask_of(int count) {
  static constexpr int32_t bits[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
  const int skip = 8 - count * int(sizeof(F) / 4);
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bits + skip));
}
#endif

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
#elif defined(__AVX__)
  if constexpr (sizeof(F) == 4) {
    return (Vec<F>)_mm256_maskload_ps(from, mask_of<F>(count));
  } else {
    return (Vec<F>)_mm256_maskload_pd(from, mask_of<F>(count));
  }
#else
  alignas(kBytes) F all[kLanes<F>] = {};
  copy_part<F, kLanes<F> / 2>(from, count, all);
  return load(all);
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
  alignas(kBytes) F all[kLanes<F>];
  store(all, v);
  copy_part<F, kLanes<F> / 2>(all, count, to);
#endif
}

template <class F>
LSTM_JAX_INLINE void copy(const F* from, int64_t count, F* to) {
  for (int64_t i = 0; i < count; i += kLanes<F>) {
    const int part = int(std::min<int64_t>(count - i, kLanes<F>));
    store_part(to + i, load_part(from + i, part), part);
  }
}

// The same, rounded. Of the sum of two products a compiler fuses one or the
// other, and a sequence would have other bits alone than among others: of the
// two one is always `rounded`.
template <class V>
LSTM_JAX_INLINE V rounded(V product) {
#if defined(__x86_64__)
  asm("" : "+v"(product));
#elif defined(__aarch64__)
  asm("" : "+w"(product));
#endif
  return product;
}

// a / b for b in [1/2, e^41].
template <class F>
LSTM_JAX_INLINE Vec<F> quotient(Vec<F> a, Vec<F> b) {
#if defined(__AVX512F__)
  if constexpr (sizeof(F) == 4) {
    // A guess of 14 bits and one step of Newton, a third of a division's time.
    const Vec<F> y = (Vec<F>)_mm512_rcp14_ps((__m512)b);
    return a * (y + y * (F(1) - b * y));
  }
#endif
  return a / b;
}

// The larger or smaller of two entries, by the processor's own instruction.
#if defined(__AVX512F__)
#define LSTM_JAX_OF_64(name, V, a, b)                                       \
  if constexpr (sizeof(V) == 64)                                            \
    return sizeof(Scalar<V>) == 4                                           \
               ? (V)_mm512_##name##_ps((__m512)(a), (__m512)(b))            \
               : (V)_mm512_##name##_pd((__m512d)(a), (__m512d)(b));
#else
#define LSTM_JAX_OF_64(name, V, a, b)
#endif
#define LSTM_JAX_OF_TWO(name, V, a, b)                                      \
  LSTM_JAX_OF_64(name, V, a, b)                                             \
  if constexpr (sizeof(V) == 32)                                            \
    return sizeof(Scalar<V>) == 4                                           \
               ? (V)_mm256_##name##_ps((__m256)(a), (__m256)(b))            \
               : (V)_mm256_##name##_pd((__m256d)(a), (__m256d)(b));         \
  if constexpr (sizeof(V) == 16)                                            \
    return sizeof(Scalar<V>) == 4                                           \
               ? (V)_mm_##name##_ps((__m128)(a), (__m128)(b))               \
               : (V)_mm_##name##_pd((__m128d)(a), (__m128d)(b));

// x, but not below `least`; nan stays nan.
template <class V>
LSTM_JAX_INLINE V above(V x, Scalar<V> least) {
  const V low = each_entry<V>(least);
#if defined(__AVX__)
  // Of these the second operand is taken where one is nan.
  LSTM_JAX_OF_TWO(max, V, low, x)
#else
  return x < low ? low : x;
#endif
}

// x, but not above `most`; nan stays nan.
template <class V>
LSTM_JAX_INLINE V below(V x, Scalar<V> most) {
  const V high = each_entry<V>(most);
#if defined(__AVX__)
  LSTM_JAX_OF_TWO(min, V, high, x)
#else
  return x > high ? high : x;
#endif
}

// x, but within [-most, most]; nan stays nan.
template <class V>
LSTM_JAX_INLINE V within(V x, Scalar<V> most) {
  return below(above(x, -most), most);
}

// -|x|.
template <class V>
LSTM_JAX_INLINE V below_zero(V x) {
  Bits<V> bits;
  std::memcpy(&bits, &x, sizeof x);
  bits |= std::numeric_limits<typename Kind<Scalar<V>>::Int>::min();
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

// |y| with the sign of x.
template <class V>
LSTM_JAX_INLINE V signed_as(V x, V y) {
  constexpr auto sign =
      std::numeric_limits<typename Kind<Scalar<V>>::Int>::min();
  Bits<V> of_x, of_y;
  std::memcpy(&of_x, &x, sizeof x);
  std::memcpy(&of_y, &y, sizeof y);
  of_y = (of_y & ~sign) | (of_x & sign);
  std::memcpy(&y, &of_y, sizeof y);
  return y;
}

// e^x or e^2x = power (even + odd) / (even - odd), where `odd` is accurate
// relative to itself: Pade's quotient of two polynomials, one in r and one in
// -r. It has half the operations of Taylor's series, and half the time until
// the last. A power below that of the smallest normal number is 0.
template <class F>
struct Exponential {
  Vec<F> power, even, odd;
};

// Of `Times` x, which is within +-kMost.
template <class F, int Times>
LSTM_JAX_INLINE Exponential<F> exponential(Vec<F> x) {
  using K = Kind<F>;
  static_assert(Times == 1 || Times == 2);
  // A single sequence waits for all of this in every step: n does not wait for
  // the multiple of x.
  const Vec<F> multiple = Times == 2 ? x + x : x;
  Vec<F> moved = x * (Times * K::kLog2e) + K::kRound;
  Vec<F> n = moved - K::kRound;
  typename K::I bits;
  std::memcpy(&bits, &moved, kBytes);
  bits = (bits << K::kMantissa) + K::kOne;
  // So few bits that the product is exact, and a rest.
  Vec<F> r = multiple - n * K::kLn2;
  r = r - n * K::kLn2Rest;
  const Vec<F> square = r * r;
  // r^j has (2m - j)! m! / ((2m)! j! (m - j)!), m the order; |r| <= ln(2) / 2,
  // where the quotient is off by 6e-9 (float) and 2e-19 (double).
  constexpr int m = K::kOrder;
  F p[m + 1] = {1};
#pragma GCC unroll 8
  for (int j = 1; j <= m; ++j)
    p[j] = p[j - 1] * F(m - j + 1) / F((2 * m - j + 1) * j);
  constexpr int last = m - m % 2, last_odd = m - 1 + m % 2;
  Vec<F> even = splat<F>(p[last]), odd = splat<F>(p[last_odd]);
#pragma GCC unroll 8
  for (int j = last - 2; j >= 0; j -= 2) even = even * square + p[j];
#pragma GCC unroll 8
  for (int j = last_odd - 2; j >= 1; j -= 2) odd = odd * square + p[j];
  Exponential<F> e;
  std::memcpy(&e.power, &bits, kBytes);
  e.even = even, e.odd = odd * r;
  return e;
}

// 1 / (1 + e^-x): q(x) = 1 / (1 + e^|x|) below 0 and 1 - q above, so that it is
// as small as e^x and is never off 1 by more than rounding.
template <class F>
LSTM_JAX_INLINE Vec<F> logistic(Vec<F> x) {
  const Exponential<F> e =
      exponential<F, 1>(above(below_zero(x), -Kind<F>::kMost));
  const Vec<F> small = e.power * (e.even + e.odd);
  const Vec<F> q = quotient<F>(small, (e.even - e.odd) + small);
  return x < F(0) ? q : F(1) - q;
}

// (e^2x - 1) / (e^2x + 1); accurate near 0, where `power` is 1 and it is odd /
// even.
template <class F>
LSTM_JAX_INLINE Vec<F> hyperbolic(Vec<F> x) {
  const Exponential<F> e = exponential<F, 2>(within(x, F(20)));
  constexpr F flat = Kind<F>::kFlat;
  const Vec<F> less = e.power - F(1), more = e.power + F(1);
  const Vec<F> y = quotient<F>(rounded(less * e.even) + more * e.odd,
                               rounded(more * e.even) + less * e.odd);
  // A quotient by a guess may be off 1 by the last bit.
  return x > flat ? splat<F>(1) : x < -flat ? splat<F>(-1) : y;
}

}  // namespace lstm_jax

#endif  // LSTM_JAX_NN_NATIVE_SIMD_H_
