// The gradient of the weights: products over the rows of several steps.
#ifndef LSTM_JAX_NATIVE_GRADIENT_H_
#define LSTM_JAX_NATIVE_GRADIENT_H_

#include <vector>

#include "products.h"

namespace lstm_jax {

// sums over rows of e_net z^T, the gradient of the weights, transposed:
// K sources and N vectors of rows.
template <class F, int K, int N>
inline void outer(const F* const* z, const F* const* e, int64_t count,
                  int64_t skip_z, int64_t skip_e, int64_t stride, F* to) {
  constexpr int lanes = kLanes<F>;
  Vec<F> sums[K][N];
#pragma GCC unroll 8
  for (int k = 0; k < K; ++k)
#pragma GCC unroll 4
    for (int v = 0; v < N; ++v) sums[k][v] = load(to + k * stride + v * lanes);
  for (int64_t i = 0; i < count; ++i) {
    const F* row = e[i] + skip_e;
    const F* source = z[i] + skip_z;
    Vec<F> errors[N];
#pragma GCC unroll 4
    for (int v = 0; v < N; ++v) errors[v] = load(row + v * lanes);
#pragma GCC unroll 8
    for (int k = 0; k < K; ++k) {
      const Vec<F> s = splat<F>(source[k]);
#pragma GCC unroll 4
      for (int v = 0; v < N; ++v) sums[k][v] += errors[v] * s;
    }
  }
#pragma GCC unroll 8
  for (int k = 0; k < K; ++k)
#pragma GCC unroll 4
    for (int v = 0; v < N; ++v) store(to + k * stride + v * lanes, sums[k][v]);
}

// Rows of several steps whose share of the weights' gradient is still to be
// added to `total` [I + C + 1, nets wide], the last row that of the biases.
template <class F>
class Gradient {
 public:
  Gradient(const Sizes& n, F* total) : n_(n), total_(total) {}

  void add(const F* x, const F* h, const F* e) {
    xs_.push_back(x), hs_.push_back(h), es_.push_back(e);
  }

  // A block of up to kAbreast vectors of columns.
  void settle(int64_t block) {
    constexpr int lanes = kLanes<F>;
    const int64_t stride = n_.row(), column = block * kAbreast * lanes;
    const int vectors = vectors_of<F>(stride, block);
    // Few rows at once: their errors stay in the first cache, the sums of a
    // block of columns in the second.
    const int64_t all = int64_t(es_.size());
    F* to = total_ + column;
    for (int64_t first = 0; first < all; first += kRowsAtOnce) {
      const int64_t count = std::min(kRowsAtOnce, all - first);
      some(xs_, n_.inputs, first, count, column, vectors, to);
      some(hs_, n_.cells, first, count, column, vectors,
           to + n_.inputs * stride);
    }
    to += (n_.inputs + n_.cells) * stride;
    for (const F* e : es_)
      for (int64_t v = 0; v < vectors * lanes; v += lanes)
        store(to + v, load(to + v) + load(e + column + v));
  }

  void clear() { xs_.clear(), hs_.clear(), es_.clear(); }

 private:
  static constexpr int64_t kRowsAtOnce = 96;

  void some(const std::vector<const F*>& z, int64_t sources, int64_t first,
            int64_t rows, int64_t column, int vectors, F* to) {
    const int64_t stride = n_.row();
    in_blocks(sources, [&](int64_t k, int count) {
      as_constant(count, [&](auto constant) {
        as_abreast(vectors, [&](auto abreast) {
          outer<F, constant.value, abreast.value>(
              z.data() + first, es_.data() + first, rows, k, column, stride,
              to + k * stride);
        });
      });
    });
  }

  const Sizes& n_;
  F* total_;
  std::vector<const F*> xs_, hs_, es_;
};

}  // namespace lstm_jax

#endif  // LSTM_JAX_NATIVE_GRADIENT_H_
