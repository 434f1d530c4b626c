// The products of a step, there and back, and weights in the order in which
// they read them. Sums stay in registers.
#ifndef LSTM_JAX_NATIVE_PRODUCTS_H_
#define LSTM_JAX_NATIVE_PRODUCTS_H_

#include <type_traits>

#include "arrays.h"

namespace lstm_jax {

// Weights with the vector of cells last: [wide / lanes, I + C, 4, lanes], then
// biases [wide / lanes, 4, lanes]; `b` has one for each of the four net inputs.
template <class F, class Cell>
void pack_there(const Sizes& n, const F* w_x, const F* w_h, const F* b, F* to) {
  constexpr int lanes = kLanes<F>;
  const int64_t sources = n.inputs + n.cells;
  F* biases = to + n.wide * sources * 4;
  for (int64_t gate = 0; gate < 4; ++gate)
    for (int64_t c = 0; c < n.cells; ++c) {
      const int64_t block = c / lanes, lane = c % lanes;
      F* first = to + (block * sources * 4 + gate) * lanes + lane;
      const int64_t x_row = Cell::from_x[gate] * n.cells + c;
      const int64_t h_row = Cell::from_h[gate] * n.cells + c;
      if (Cell::from_x[gate] >= 0)
        for (int64_t k = 0; k < n.inputs; ++k)
          first[k * 4 * lanes] = w_x[x_row * n.inputs + k];
      first += n.inputs * 4 * lanes;
      if (Cell::from_h[gate] >= 0)
        for (int64_t k = 0; k < n.cells; ++k)
          first[k * 4 * lanes] = w_h[h_row * n.cells + k];
      biases[(block * 4 + gate) * lanes + lane] = b[gate * n.cells + c];
    }
}

// Vectors of cells that the way back computes together.
constexpr int kAbreast = 4;

// A matrix [rows, columns] in blocks of up to kAbreast vectors of columns, each
// [4 C, block], with zeros behind the last column and where a net input has no
// rows (`from`).
template <class F>
void pack_back(const Sizes& n, const F* w, const int (&from)[4],
               int64_t columns, F* to) {
  constexpr int64_t lanes = kLanes<F>;
  const int64_t wide = (columns + lanes - 1) / lanes * lanes;
  for (int64_t first = 0; first < wide; first += kAbreast * lanes) {
    const int64_t size = std::min(kAbreast * lanes, wide - first);
    const int64_t held = std::min(size, columns - first);
    for (const int rows : from)
      for (int64_t c = 0; c < n.cells; ++c, to += size)
        if (rows >= 0)
          std::copy_n(w + (rows * n.cells + c) * columns + first, held, to);
  }
}

// sums[r][g] += sum_k w[k][g] z[r][k].
template <class F, int R>
LSTM_JAX_INLINE void accumulate(const F* w, const F* z, int64_t stride,
                                int64_t count, Vec<F> (&sums)[R][4]) {
  constexpr int lanes = kLanes<F>;
  // A copy that nothing points to stays in registers.
  Vec<F> own[R][4];
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) own[r][g] = sums[r][g];
  for (int64_t k = 0; k < count; ++k, w += 4 * lanes) {
    const Vec<F> w0 = load(w), w1 = load(w + lanes);
    const Vec<F> w2 = load(w + 2 * lanes), w3 = load(w + 3 * lanes);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const Vec<F> s = splat<F>(z[r * stride + k]);
      own[r][0] += w0 * s;
      own[r][1] += w1 * s;
      own[r][2] += w2 * s;
      own[r][3] += w3 * s;
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) sums[r][g] = own[r][g];
}

// Calls `some` with a number from 1 to kRows as a constant.
template <class Some>
LSTM_JAX_INLINE void as_constant(int number, const Some& some) {
  if (number == 1) some(std::integral_constant<int, 1>());
  if (number == 2) some(std::integral_constant<int, 2>());
  if constexpr (kRows > 2) {
    if (number == 3) some(std::integral_constant<int, 3>());
    if (number == 4) some(std::integral_constant<int, 4>());
    if (number == 5) some(std::integral_constant<int, 5>());
    if (number == 6) some(std::integral_constant<int, 6>());
  }
}

// Calls `some(row, count)` for blocks of up to kRows rows, as even as they can
// be.
template <class Some>
inline void in_blocks(int64_t rows, const Some& some) {
  const int64_t blocks = (rows + kRows - 1) / kRows;
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t row = rows * i / blocks;
    some(row, int(rows * (i + 1) / blocks - row));
  }
}

// The four net inputs of one vector of cells of some rows.
template <class F>
void nets(const Sizes& n, const F* packed, int64_t block, int rows, const F* x,
          const F* h_tm1, int64_t stride, Vec<F> (*to)[4]) {
  constexpr int lanes = kLanes<F>;
  const int64_t sources = n.inputs + n.cells;
  const F* b = packed + n.wide * sources * 4 + block * 4 * lanes;
  const F* w = packed + block * sources * 4 * lanes;
  as_constant(rows, [&](auto count) {
    constexpr int R = count.value;
    Vec<F> sums[R][4];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int g = 0; g < 4; ++g) sums[r][g] = load(b + g * lanes);
    accumulate<F, R>(w, x, n.inputs, n.inputs, sums);
    accumulate<F, R>(w + n.inputs * 4 * lanes, h_tm1, stride, n.cells, sums);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int g = 0; g < 4; ++g) to[r][g] = sums[r][g];
  });
}

// The same for N vectors of columns, with rows and sums as the way back has
// them: sums[r][v] += sum over gates g and cells k of w[g, k][v] e[r][g, k].
template <class F, int R, int N>
LSTM_JAX_INLINE void recur(const Sizes& n, const F* w, const F* e,
                           Vec<F> (&sums)[R][N]) {
  constexpr int lanes = kLanes<F>;
  // Sums of one row and few vectors wait for themselves: several chains.
  constexpr int chains = R * N >= 8 ? 1 : R * N >= 4 ? 2 : 4;
  Vec<F> parts[chains][R][N] = {};
  for (int64_t gate = 0; gate < 4; ++gate, e += n.wide) {
    int64_t k = 0;
    for (; k + chains <= n.cells; k += chains, w += chains * N * lanes)
#pragma GCC unroll 4
      for (int chain = 0; chain < chains; ++chain)
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
          for (int v = 0; v < N; ++v)
            parts[chain][r][v] += load(w + (chain * N + v) * lanes) *
                                  splat<F>(e[r * 4 * n.wide + k + chain]);
    for (; k < n.cells; ++k, w += N * lanes)
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < N; ++v)
          parts[0][r][v] +=
              load(w + v * lanes) * splat<F>(e[r * 4 * n.wide + k]);
  }
#pragma GCC unroll 4
  for (int chain = 0; chain < chains; ++chain)
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
      for (int v = 0; v < N; ++v) sums[r][v] += parts[chain][r][v];
}

// `recur` for some rows and up to kAbreast vectors.
template <class F>
void recur_some(const Sizes& n, const F* w, const F* e, int rows, int vectors,
                Vec<F> (*to)[kAbreast]) {
  as_constant(rows, [&](auto count) {
    constexpr int R = count.value;
    auto some = [&](auto abreast) {
      constexpr int N = abreast.value;
      Vec<F> sums[R][N];
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < N; ++v) sums[r][v] = to[r][v];
      recur<F, R, N>(n, w, e, sums);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < N; ++v) to[r][v] = sums[r][v];
    };
    switch (vectors) {
      case 1: some(std::integral_constant<int, 1>()); break;
      case 2: some(std::integral_constant<int, 2>()); break;
      case 3: some(std::integral_constant<int, 3>()); break;
      case 4: some(std::integral_constant<int, 4>()); break;
    }
  });
}

// Blocks of `kAbreast` vectors that `columns` make.
template <class F>
int64_t blocks_of(int64_t columns) {
  const int64_t size = kAbreast * kLanes<F>;
  return (columns + size - 1) / size;
}

// Calls `some(w, first, vectors, row, rows)` for the blocks of rows of a block
// of columns, which begins at `first`; `w` are its weights.
template <class F, class Some>
void over_rows(const Sizes& n, const F* w, int64_t columns, int64_t block,
               int64_t rows, const Some& some) {
  constexpr int64_t lanes = kLanes<F>;
  const int64_t first = block * kAbreast * lanes;
  const int64_t left = (columns - first + lanes - 1) / lanes;
  const int vectors = int(std::min<int64_t>(kAbreast, left));
  in_blocks(rows, [&](int64_t row, int count) {
    some(w + 4 * n.cells * first, first, vectors, row, count);
  });
}

// A block of columns of `to` [rows, columns] = e_net W, plus `from`
// [rows, wide] if there.
template <class F>
void through(const Sizes& n, const F* w, int64_t columns, int64_t block,
             int64_t rows, const F* e_net, const F* from, F* to) {
  constexpr int lanes = kLanes<F>;
  auto some = [&](const F* w, int64_t first, int vectors, int64_t row,
                  int count) {
    Vec<F> sums[kRows][kAbreast] = {};
    if (from)
      for (int r = 0; r < count; ++r)
        for (int v = 0; v < vectors; ++v)
          sums[r][v] = load(from + (row + r) * n.wide + first + v * lanes);
    if (e_net)
      recur_some<F>(n, w, e_net + row * 4 * n.wide, count, vectors, sums);
    for (int r = 0; r < count; ++r)
      for (int v = 0; v < vectors; ++v) {
        const int64_t at = first + v * lanes;
        store_part(to + (row + r) * columns + at, sums[r][v],
                   int(std::min<int64_t>(lanes, columns - at)));
      }
  };
  over_rows<F>(n, w, columns, block, rows, some);
}

}  // namespace lstm_jax

#endif  // LSTM_JAX_NATIVE_PRODUCTS_H_
