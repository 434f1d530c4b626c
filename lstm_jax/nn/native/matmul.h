// The products of a step, forward and backward. Sums stay in registers.
#ifndef LSTM_JAX_NN_NATIVE_MATMUL_H_
#define LSTM_JAX_NN_NATIVE_MATMUL_H_

#include <type_traits>

#include "packing.h"

namespace lstm_jax {

// sums[r][chain][v] += w[First + v] z[r] for the vectors `Used`, of which
// `Side` lie side by side and the next ones `apart` from them.
template <class F, int Used, int First, int Side, int R, int C, int N>
LSTM_JAX_INLINE void multiply(const F* w, int64_t apart, const F* z,
                              int64_t stride, int chain,
                              Vec<F> (&sums)[R][C][N]) {
  Vec<F> weights[N];
#pragma GCC unroll 4
  for (int v = 0; v < N; ++v)
    if (Used >> v & 1)
      weights[v] = load(w + (First + v) / Side * apart +
                        (First + v) % Side * kLanes<F>);
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r) {
    const Vec<F> s = splat<F>(z[r * stride]);
#pragma GCC unroll 4
    for (int v = 0; v < N; ++v)
      if (Used >> v & 1) sums[r][chain][v] += weights[v] * s;
  }
}

// Calls `some(r, rows, v, vectors)`, all of them constants, for pieces of R
// rows and N vectors of sums, C chains each, that fit the registers. Vectors
// are cut first: a weight is then still read once for all rows.
template <int R, int C, int N, int Row = 0, int V = 0, class Some>
LSTM_JAX_INLINE void in_registers(const Some& some) {
  if constexpr (R * C * N <= kSums) {
    some(std::integral_constant<int, Row>(), std::integral_constant<int, R>(),
         std::integral_constant<int, V>(), std::integral_constant<int, N>());
  } else if constexpr (N > 1) {
    constexpr int half = (N + 1) / 2;
    in_registers<R, C, half, Row, V>(some);
    in_registers<R, C, N - half, Row, V + half>(some);
  } else {
    constexpr int half = (R + 1) / 2;
    in_registers<half, C, N, Row, V>(some);
    in_registers<R - half, C, N, Row + half, V>(some);
  }
}

// sums[r][.][v] += sum_k w[k][v] z[r][k], for all that `sources` calls
// `add(used, w, z, stride, count)` with, `used` a constant; `all` is the number
// of sources of a block. Few sums would wait for themselves: they have several
// chains, whose sum is meant. How a sum is taken does not depend on the pieces.
template <class F, int R, int C, int N, class Sources>
LSTM_JAX_INLINE void accumulate(int64_t all, const Sources& sources,
                                Vec<F> (&sums)[R][C][N]) {
  constexpr int side = half_block(N), size = side * kLanes<F>;
  const int64_t apart = all * size;
  in_registers<R, C, N>([&](auto row, auto rows, auto first, auto vectors) {
    constexpr int r0 = row.value, v0 = first.value;
    // A copy that nothing points to stays in registers.
    Vec<F> own[rows.value][C][vectors.value];
#pragma GCC unroll 8
    for (int r = 0; r < rows.value; ++r)
#pragma GCC unroll 4
      for (int chain = 0; chain < C; ++chain)
#pragma GCC unroll 4
        for (int v = 0; v < vectors.value; ++v)
          own[r][chain][v] = sums[r0 + r][chain][v0 + v];
    sources([&](auto used, const F* w, const F* z, int64_t stride,
                int64_t count) LSTM_JAX_INLINED {
      constexpr int mine = used.value >> v0 & ((1 << vectors.value) - 1);
      if (!mine) return;
      z += r0 * stride;
      int64_t k = 0;
      for (; k + C <= count; k += C, w += C * size)
#pragma GCC unroll 4
        for (int chain = 0; chain < C; ++chain)
          multiply<F, mine, v0, side>(w + chain * size, apart, z + k + chain,
                                      stride, chain, own);
      for (; k < count; ++k, w += size)
        multiply<F, mine, v0, side>(w, apart, z + k, stride, 0, own);
    });
#pragma GCC unroll 8
    for (int r = 0; r < rows.value; ++r)
#pragma GCC unroll 4
      for (int chain = 0; chain < C; ++chain)
#pragma GCC unroll 4
        for (int v = 0; v < vectors.value; ++v)
          sums[r0 + r][chain][v0 + v] = own[r][chain][v];
  });
}

// The sum of the chains of vector v, which are one, two or four.
template <class F, int C, int N>
LSTM_JAX_INLINE Vec<F> joined(const Vec<F> (&chains)[C][N], int v) {
  if constexpr (C == 4) {
    return (chains[0][v] + chains[1][v]) + (chains[2][v] + chains[3][v]);
  } else if constexpr (C == 2) {
    return chains[0][v] + chains[1][v];
  } else {
    static_assert(C == 1);
    return chains[0][v];
  }
}

// Calls `some` with a number from 1 to kRows, or to `Most`, as a constant.
template <int Most = kRows, class Some>
LSTM_JAX_INLINE void as_constant(int number, const Some& some) {
  static_assert(Most == 1 || Most == kRows);
  if (Most == 1 || number == 1) return some(std::integral_constant<int, 1>());
  if (number == 2) some(std::integral_constant<int, 2>());
  if (number == 3) some(std::integral_constant<int, 3>());
  if (number == 4) some(std::integral_constant<int, 4>());
  if (number == 5) some(std::integral_constant<int, 5>());
  if (number == 6) some(std::integral_constant<int, 6>());
}

// The same for a number from `Least`, which is 1 or all, to kVectorsPerBlock.
template <int Least = 1, class Some>
LSTM_JAX_INLINE void as_abreast(int number, const Some& some) {
  static_assert(Least == 1 || Least == kVectorsPerBlock);
  switch (std::max(number, Least)) {
    case 1: some(std::integral_constant<int, 1>()); break;
    case 2: some(std::integral_constant<int, 2>()); break;
    case 3: some(std::integral_constant<int, 3>()); break;
    case 4: some(std::integral_constant<int, 4>()); break;
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

// The net inputs of one block of some rows, of which X (as `used` has it) read
// inputs and H cells; a block has `Least` vectors or more. How a sum is taken
// depends on no other row.
template <class F, int X, int H, int Least, int Most>
LSTM_JAX_INLINE void nets(const Sizes& n, const F* packed, int64_t block,
                          int rows, const F* x, const F* h_tm1, int64_t stride,
                          Vec<F> (&to)[Most][kVectorsPerBlock]) {
  constexpr int lanes = kLanes<F>;
  const int64_t sources = n.inputs + n.cells;
  const int64_t skip = block * kVectorsPerBlock * lanes;
  const F* b = packed + n.row() * sources + skip;
  const F* w = packed + skip * sources;
  constexpr std::integral_constant<int, X> from_x;
  constexpr std::integral_constant<int, H> from_h;
  as_constant<Most>(rows, [&](auto count) LSTM_JAX_INLINED {
    constexpr int R = count.value;
    as_abreast<Least>(vectors_of<F>(n.row(), block), [&](auto abreast)
                                                         LSTM_JAX_INLINED {
      constexpr int N = abreast.value, chains = kVectorsPerBlock / N;
      Vec<F> sums[R][chains][N] = {};
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < N; ++v) sums[r][0][v] = load(b + v * lanes);
      accumulate<F>(
          sources,
          [&](const auto& add) LSTM_JAX_INLINED {
            add(from_x, w, x, n.inputs, n.inputs);
            add(from_h, w + n.inputs * half_block(N) * lanes, h_tm1, stride,
                n.cells);
          },
          sums);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < N; ++v) to[r][v] = joined<F>(sums[r], v);
    });
  });
}

// The same for up to kVectorsPerBlock vectors of columns, with rows and sums as
// the backward pass has them: to[r][v] += sum over net inputs g and cells k of
// w[g, k][v] e[r][g, k], over those that have weights there (`from`).
template <class F>
void recur(const Sizes& n, const F* w, const int* from, const F* e, int rows,
           int vectors, Vec<F> (&to)[kRows][kVectorsPerBlock]) {
  as_constant(rows, [&](auto count) {
    constexpr int R = count.value;
    as_abreast(vectors, [&](auto abreast) {
      constexpr int N = abreast.value;
      constexpr int chains = R * N >= 8 ? 1 : R * N >= 4 ? 2 : 4;
      constexpr std::integral_constant<int, (1 << N) - 1> all;
      Vec<F> sums[R][chains][N] = {};
      accumulate<F>(
          n.nets * n.cells,
          [&](const auto& add) LSTM_JAX_INLINED {
            for (int64_t gate = 0; gate < n.nets; ++gate)
              if (from[gate] >= 0)
                add(all, w + gate * n.cells * half_block(N) * kLanes<F>,
                    e + gate * n.padded, n.row(), n.cells);
          },
          sums);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < N; ++v) to[r][v] += joined<F>(sums[r], v);
    });
  });
}

// Of many rows, a function that its callers share.
template <class F, int X, int H, int Least>
void nets_of_rows(const Sizes& n, const F* packed, int64_t block, int rows,
                  const F* x, const F* h_tm1, int64_t stride,
                  Vec<F> (&to)[kRows][kVectorsPerBlock]) {
  nets<F, X, H, Least>(n, packed, block, rows, x, h_tm1, stride, to);
}

// Calls `some(w, first, vectors, row, rows)` for the blocks of rows of a block
// of columns, which begins at `first`; `w` are its weights.
template <class F, class Some>
void over_rows(const Sizes& n, const F* w, int64_t columns, int64_t block,
               int64_t rows, const Some& some) {
  const int64_t first = block * kVectorsPerBlock * kLanes<F>;
  const int vectors = vectors_of<F>(columns, block);
  in_blocks(rows, [&](int64_t row, int count) {
    some(w + n.nets * n.cells * first, first, vectors, row, count);
  });
}

// A block of columns of `to` [rows, columns] = ct_net W, plus `past`
// [rows, padded] if there.
template <class F>
void through(const Sizes& n, const F* w, const int* from, int64_t columns,
             int64_t block, int64_t rows, const F* ct_net, const F* past,
             F* to) {
  constexpr int lanes = kLanes<F>;
  auto some = [&](const F* w, int64_t first, int vectors, int64_t row,
                  int count) {
    Vec<F> sums[kRows][kVectorsPerBlock] = {};
    if (past)
      for (int r = 0; r < count; ++r)
        for (int v = 0; v < vectors; ++v)
          sums[r][v] = load(past + (row + r) * n.padded + first + v * lanes);
    if (ct_net)
      recur<F>(n, w, from, ct_net + row * n.row(), count, vectors, sums);
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

#endif  // LSTM_JAX_NN_NATIVE_MATMUL_H_
