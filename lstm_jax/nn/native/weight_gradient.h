// The gradient of the weights: products over the rows of several steps.
#ifndef LSTM_JAX_NN_NATIVE_WEIGHT_GRADIENT_H_
#define LSTM_JAX_NN_NATIVE_WEIGHT_GRADIENT_H_

#include <utility>
#include <vector>

#include "matmul.h"

namespace lstm_jax {

// sums over rows of ct_net z^T, the gradient of the weights, transposed: K
// sources, side by side in rows that are `stride` apart, and N vectors of
// columns, whose rows lie one behind the other.
template <class F, int K, int N>
inline void outer(const F* z, int64_t stride, const F* e, int64_t rows, F* to) {
  constexpr int lanes = kLanes<F>, size = N * lanes;
  in_registers<K, 1, N>([&](auto from, auto some, auto first, auto vectors) {
    constexpr int k0 = from.value, skip = k0 * size + first.value * lanes;
    Vec<F> sums[some.value][1][vectors.value];
#pragma GCC unroll 8
    for (int k = 0; k < some.value; ++k)
#pragma GCC unroll 4
      for (int v = 0; v < vectors.value; ++v)
        sums[k][0][v] = load(to + skip + k * size + v * lanes);
    for (int64_t i = 0; i < rows; ++i)
      multiply<F, (1 << N) - 1, first.value, N>(
          e + i * size, 0, z + k0 + i * stride, 1, 0, sums);
#pragma GCC unroll 8
    for (int k = 0; k < some.value; ++k)
#pragma GCC unroll 4
      for (int v = 0; v < vectors.value; ++v)
        store(to + skip + k * size + v * lanes, sums[k][0][v]);
  });
}

// Rows of several steps whose share of the weights' gradient is still to be
// added to `total`: blocks [I + C + 1, vectors, lanes] of the columns, the last
// source 1, whose gradient is that of the biases.
//
// The products read both sides from copies in the order in which they go
// through them: of the sources those of a product, row behind row, then those
// of the next. Where they come from, rows of a wide net are whole pages apart.
template <class F>
class Gradient {
 public:
  // `from_x` and `from_h` are the cell's.
  Gradient(const Sizes& n, const int* from_x, const int* from_h,
           int64_t most_rows, F* total)
      : n_(n), from_x_(from_x), from_h_(from_h), total_(total),
        most_rows_(most_rows),
        whole_(std::min(*std::min_element(from_x, from_x + n.nets),
                        *std::min_element(from_h, from_h + n.nets)) >= 0),
        packed_(most_rows * sources_of(n)),
        lines_(parts() * kLines * sources_of(n)) {
    // Nothing is left to fail while others wait for a thread of a crew.
    xs_.reserve(most_rows), hs_.reserve(most_rows), es_.reserve(most_rows);
  }

  static int64_t sources_of(const Sizes& n) { return n.inputs + n.cells + 1; }

  // Where `total` has a column of the first source, and how far apart sources
  // are there.
  static std::pair<int64_t, int64_t> place_of(const Sizes& n, int64_t column) {
    constexpr int64_t size = kVectorsPerBlock * kLanes<F>;
    const int64_t block = column / size;
    return {block * size * sources_of(n) + column % size,
            vectors_of<F>(n.row(), block) * kLanes<F>};
  }

  void add(const F* x, const F* h, const F* e) {
    xs_.push_back(x), hs_.push_back(h), es_.push_back(e);
  }

  // Parts of the rows, to be packed before `settle`: as many as there can be,
  // for a thread that comes late counts them when the rows are gone.
  int64_t parts() const { return (most_rows_ + kRowsAtOnce - 1) / kRowsAtOnce; }

  // The sources of a part: [rows, count] for every block of sources.
  void pack(int64_t part) {
    const int64_t first = part * kRowsAtOnce, rows = rows_of(part);
    const int64_t sources = sources_of(n_);
    F* to = packed_ + first * sources;
    F* lines = lines_ + part * kLines * sources;
    for (int64_t from = 0; from < rows; from += kLines) {
      const int64_t some = std::min(rows - from, kLines);
      for (int64_t i = 0; i < some; ++i) {
        F* line = lines + i * sources;
        copy(xs_[first + from + i], n_.inputs, line);
        copy(hs_[first + from + i], n_.cells, line + n_.inputs);
        line[sources - 1] = 1;
      }
      over_sources(0, sources, [&](int64_t k, auto count) {
        F* block = to + k * rows + from * count.value;
        for (int64_t i = 0; i < some; ++i)
          std::memcpy(block + i * count.value, lines + i * sources + k,
                      count.value * sizeof(F));
      });
    }
  }

  // A block of up to kVectorsPerBlock vectors of columns.
  void settle(int64_t block) {
    as_abreast(vectors_of<F>(n_.row(), block), [&](auto abreast) {
      constexpr int N = abreast.value, size = N * kLanes<F>;
      const int64_t sources = sources_of(n_);
      const int64_t column = block * kVectorsPerBlock * kLanes<F>;
      F* to = total_ + column * sources;
      alignas(kBytes) F cts[kRowsAtOnce * size];
      for (int64_t part = 0; rows_of(part); ++part) {
        const int64_t first = part * kRowsAtOnce, rows = rows_of(part);
        for (int64_t i = 0; i < rows; ++i)
          copy(es_[first + i] + column, size, cts + i * size);
        const F* z = packed_ + first * sources;
        auto add = [&](int64_t k, auto count) {
          outer<F, count.value, N>(z + k * rows, count.value, cts, rows,
                                   to + k * size);
        };
        const bool x = has_weights(from_x_, block);
        const bool h = has_weights(from_h_, block);
        over_sources(x ? 0 : n_.inputs, h ? sources : n_.inputs, add);
        if (!h) over_sources(sources - 1, sources, add);
      }
    });
  }

  void clear() { xs_.clear(), hs_.clear(), es_.clear(); }

 private:
  // Rows whose cotangents of a block of columns stay in the first cache.
  static constexpr int64_t kRowsAtOnce = 128;

  // Rows that `pack` takes at once.
  static constexpr int64_t kLines = 8;

  // Calls `some(k, count)`, `count` a constant, for the blocks of sources from
  // `first` on, in the one order that both `pack` and `settle` go through. Some
  // net inputs may read not all sides: then no block has sources of several.
  template <class Some>
  void over_sources(int64_t first, int64_t end, const Some& some) const {
    const int64_t sides[] = {0, whole_ ? 0 : n_.inputs,
                             whole_ ? 0 : n_.inputs + n_.cells, sources_of(n_)};
    for (int i = 0; i < 3; ++i)
      if (first <= sides[i] && sides[i + 1] <= end)
        in_blocks(sides[i + 1] - sides[i], [&](int64_t k, int count) {
          as_constant(count, [&](auto constant) {
            some(sides[i] + k, constant);
          });
        });
  }

  // Whether net inputs of a block of columns have weights from there.
  bool has_weights(const int* from, int64_t block) const {
    for (int v = 0; v < vectors_of<F>(n_.row(), block); ++v)
      if (from[(block * kVectorsPerBlock + v) * kLanes<F> / n_.padded] >= 0)
        return true;
    return false;
  }

  int64_t rows_of(int64_t part) const {
    const int64_t left = int64_t(es_.size()) - part * kRowsAtOnce;
    return std::max<int64_t>(std::min(left, kRowsAtOnce), 0);
  }

  const Sizes& n_;
  const int *from_x_, *from_h_;
  F* total_;
  const int64_t most_rows_;
  std::vector<const F*> xs_, hs_, es_;
  const bool whole_;  // all net inputs read inputs and cells
  Scratch<F> packed_, lines_;
};

}  // namespace lstm_jax

#endif  // LSTM_JAX_NN_NATIVE_WEIGHT_GRADIENT_H_
