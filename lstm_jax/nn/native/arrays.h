// Memory, sizes and the arrays of one net. All are row-major, features last.
#ifndef LSTM_JAX_NN_NATIVE_ARRAYS_H_
#define LSTM_JAX_NN_NATIVE_ARRAYS_H_

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#include "simd.h"

namespace lstm_jax {

// Asks for large pages where memory is about to be written for the first time:
// a fault for every 4 kB of a large array is an eighth of a call.
inline void in_large_pages(const void* data, size_t bytes) {
#if defined(MADV_HUGEPAGE)
  constexpr uintptr_t size = uintptr_t(1) << 21;
  const uintptr_t at = reinterpret_cast<uintptr_t>(data);
  const uintptr_t first = (at + size - 1) & -size, end = (at + bytes) & -size;
  // Who has no such pages goes on with small ones.
  if (end > first)
    madvise(reinterpret_cast<void*>(first), end - first, MADV_HUGEPAGE);
#endif
}

// a b, or no memory for so many.
inline int64_t times(int64_t a, int64_t b) {
  int64_t product;
  if (__builtin_mul_overflow(a, b, &product)) throw std::bad_alloc();
  return product;
}

// Memory on vector boundaries, zero at first; throws where there is none.
template <class F>
class Scratch {
 public:
  explicit Scratch(int64_t count) {
    const int64_t whole = times(std::max<int64_t>(count, 1), sizeof(F));
    const size_t bytes = (size_t(whole) + 63) / 64 * 64;
    data_.reset(static_cast<F*>(std::aligned_alloc(64, bytes)));
    if (!data_) throw std::bad_alloc();
    in_large_pages(data_.get(), bytes);
    std::memset(data_.get(), 0, bytes);
  }
  operator F*() const { return data_.get(); }

 private:
  struct Free {
    void operator()(F* data) const { std::free(data); }
  };
  std::unique_ptr<F, Free> data_;
};

struct Sizes {
  int64_t steps, batch, inputs, cells;  // T, B, I, C
  int64_t padded;  // C up to a whole number of vectors
  int64_t nets;  // net inputs of a cell, 4 or 1
  bool reverse;

  // Elements of all net inputs of a row.
  int64_t row() const { return nets * padded; }

  // The step that is taken s-th.
  int64_t at(int64_t s) const { return reverse ? steps - 1 - s : s; }
};

// Arrays of one net. `inside` [T, B, padded], the states c, and `gates`
// [T, B, 4, padded], as `cells.h` has them, are what the backward pass needs
// besides ys and only it sees. A cell without a state c has arrays of it
// that are never read.
template <class F>
struct ForwardArrays {
  const F *xs, *h_0, *c_0;  // [T, B, I], [B, C], [B, C]
  const int32_t* lengths;  // [B]
  F *ys, *h, *c;  // [T, B, C], [B, C], [B, C]
  F *gates, *inside;  // null: not kept
};

template <class F>
struct BackwardArrays {
  const F *xs, *h_0, *c_0;
  const int32_t* lengths;
  const F *ys, *inside;
  const F* gates;  // null: computed again, where the cell has any
  const F *ct_ys, *ct_h, *ct_c;  // cotangents of ys, h, c
  F *ct_h_0, *ct_c_0;  // [B, C]
  F* ct_xs;  // [T, B, I]; null: not wanted
};

}  // namespace lstm_jax

#endif  // LSTM_JAX_NN_NATIVE_ARRAYS_H_
