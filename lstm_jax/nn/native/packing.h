// Weights in the order in which the products of a step read them.
#ifndef LSTM_JAX_NN_NATIVE_PACKING_H_
#define LSTM_JAX_NN_NATIVE_PACKING_H_

#include "arrays.h"

namespace lstm_jax {

// Vectors of sums that a row has in a product, at most. In the forward pass a
// block of so many is one vector of cells with four net inputs, or up to four
// vectors of cells with one.
constexpr int kVectorsPerBlock = 4;

// Rows of a product that are computed together, for each weight that is read.
constexpr int kRows = 6;

// Blocks of `kVectorsPerBlock` vectors that `columns` make.
template <class F>
int64_t blocks_of(int64_t columns) {
  const int64_t size = kVectorsPerBlock * kLanes<F>;
  return (columns + size - 1) / size;
}

// Vectors of a block of them.
template <class F>
int vectors_of(int64_t columns, int64_t block) {
  constexpr int64_t lanes = kLanes<F>;
  const int64_t left = columns - block * kVectorsPerBlock * lanes;
  return int(std::min<int64_t>(kVectorsPerBlock, (left + lanes - 1) / lanes));
}

// Vectors of a block that lie side by side for each source: all `vectors`, or a
// half of a whole block where the registers hold the sums of no more. A product
// then goes through one half after the other, and what it reads next lies next.
constexpr int half_block(int vectors) {
  const bool halves =
      vectors == kVectorsPerBlock && kSums < kRows * kVectorsPerBlock;
  return halves ? vectors / 2 : vectors;
}

// Weights with the vector of cells last: blocks [I + C, vectors, lanes], in
// halves as `half_block` has it, of the vectors [padded / lanes, nets], then
// biases [padded / lanes, nets, lanes]; `b` has one for each net input.
// `from_x` and `from_h` are the cell's.
template <class F>
void pack_forward(const Sizes& n, const int* from_x, const int* from_h,
                  const F* w_x, const F* w_h, const F* b, F* to) {
  constexpr int lanes = kLanes<F>;
  const int64_t sources = n.inputs + n.cells;
  F* biases = to + n.row() * sources;
  for (int64_t gate = 0; gate < n.nets; ++gate)
    for (int64_t c = 0; c < n.cells; ++c) {
      const int64_t vector = c / lanes * n.nets + gate, lane = c % lanes;
      const int64_t block = vector / kVectorsPerBlock;
      const int64_t v = vector % kVectorsPerBlock;
      const int side = half_block(vectors_of<F>(n.row(), block));
      const int64_t stride = side * lanes;
      F* first = to + block * kVectorsPerBlock * sources * lanes +
                 (v / side * sources * side + v % side) * lanes + lane;
      const int64_t x_row = from_x[gate] * n.cells + c;
      const int64_t h_row = from_h[gate] * n.cells + c;
      if (from_x[gate] >= 0)
        for (int64_t k = 0; k < n.inputs; ++k)
          first[k * stride] = w_x[x_row * n.inputs + k];
      first += n.inputs * stride;
      if (from_h[gate] >= 0)
        for (int64_t k = 0; k < n.cells; ++k)
          first[k * stride] = w_h[h_row * n.cells + k];
      biases[vector * lanes + lane] = b[gate * n.cells + c];
    }
}

// A matrix [rows, columns] in blocks of up to kVectorsPerBlock vectors of
// columns, each [nets C, block], in halves as `half_block` has it, with zeros
// behind the last column and where a net input has no rows (`from`).
template <class F>
void pack_backward(const Sizes& n, const F* w, const int* from,
                   int64_t columns, F* to) {
  constexpr int64_t lanes = kLanes<F>;
  const int64_t padded = (columns + lanes - 1) / lanes * lanes;
  for (int64_t first = 0, size; first < padded; first += size) {
    const int64_t block = first / (kVectorsPerBlock * lanes);
    size = half_block(vectors_of<F>(columns, block)) * lanes;
    const int64_t width = std::min(size, columns - first);
    for (int64_t gate = 0; gate < n.nets; ++gate)
      for (int64_t c = 0; c < n.cells; ++c, to += size)
        if (from[gate] >= 0)
          std::copy_n(w + (from[gate] * n.cells + c) * columns + first, width,
                      to);
  }
}

// The vectors of a block that have weights from one of the two sides, as bits:
// where vectors are net inputs, those with rows (`from_x` or `from_h`).
template <int N>
constexpr int used(const int (&from)[N]) {
  if (N == 1) return (1 << kVectorsPerBlock) - 1;
  int bits = 0;
  for (int v = 0; v < N; ++v) bits |= (from[v] >= 0) << v;
  return bits;
}

}  // namespace lstm_jax

#endif  // LSTM_JAX_NN_NATIVE_PACKING_H_
