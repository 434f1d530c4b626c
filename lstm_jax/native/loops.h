// The loop over time of an LSTM layer and its way back, for one net and some of
// the rows of a batch. All arrays are row-major, features last.
//
// A step of a row is one product of [x(t), h(t-1)] with the weights of all four
// gates, in which the sums stay in registers until the new state has been
// computed from them: nothing is stored between. Rows of a batch never meet, so
// threads share out the batch and wait for nobody.
#ifndef LSTM_JAX_NATIVE_LOOPS_H_
#define LSTM_JAX_NATIVE_LOOPS_H_

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

#include "vector.h"

namespace lstm_jax {

// What is a cell's own: which rows of its weights make each of four net inputs,
// and what a step makes of them and back. Net inputs that have no weights from
// one of the two sides are computed with zeros.
//
// Each has
//   from_x, from_h  the C rows of w_x and w_h for a net input; -1: none
//   there           the new state from net inputs and the old state; `net`
//                   becomes what `back` reads
//   back            errors of the net inputs, and of the old state past them

// `cells.lstm`: y_in, y_f, g, y_out; states c = s_c and h = y_c.
struct Lstm {
  static constexpr bool kInside = true;  // c is a state, kept for the way back
  static constexpr int from_x[4] = {0, 1, 2, 3};
  static constexpr int from_h[4] = {0, 1, 2, 3};

  template <class F>
  LSTM_JAX_INLINE static void squash(Vec<F> (&net)[4]) {
    net[0] = logistic<F>(net[0]), net[1] = logistic<F>(net[1]);
    net[2] = hyperbolic<F>(net[2]), net[3] = logistic<F>(net[3]);
  }

  template <class F>
  LSTM_JAX_INLINE static void there(Vec<F> (&net)[4], Vec<F>& h, Vec<F>& c) {
    squash<F>(net);
    c = net[1] * c + net[0] * net[2];
    h = net[3] * hyperbolic<F>(c);
  }

  // `e_h`, `e_c`: of the new state, then of the old one, of h what does not go
  // through the net inputs. `net` becomes its own error.
  template <class F>
  LSTM_JAX_INLINE static void back(Vec<F> (&net)[4], Vec<F> h_tm1, Vec<F> c_tm1,
                                   Vec<F> c, Vec<F>& e_h, Vec<F>& e_c) {
    const Vec<F> y_in = net[0], y_f = net[1], g = net[2], y_out = net[3];
    const Vec<F> squashed = hyperbolic<F>(c);
    const Vec<F> e_s = e_c + e_h * y_out * (F(1) - squashed * squashed);
    net[0] = e_s * g * (y_in * (F(1) - y_in));
    net[1] = e_s * c_tm1 * (y_f * (F(1) - y_f));
    net[2] = e_s * y_in * (F(1) - g * g);
    net[3] = e_h * squashed * (y_out * (F(1) - y_out));
    e_c = e_s * y_f;
    e_h = Vec<F>{};
  }
};

// `cells.gru` with reset 'after': r, z, and for n what comes from x and what
// comes from h(t-1), apart. One state, h.
struct Gru {
  static constexpr bool kInside = false;
  static constexpr int from_x[4] = {0, 1, 2, -1};
  static constexpr int from_h[4] = {0, 1, -1, 2};

  template <class F>
  LSTM_JAX_INLINE static void squash(Vec<F> (&net)[4]) {
    net[0] = logistic<F>(net[0]), net[1] = logistic<F>(net[1]);
    net[2] = hyperbolic<F>(net[2] + net[0] * net[3]);
  }

  template <class F>
  LSTM_JAX_INLINE static void there(Vec<F> (&net)[4], Vec<F>& h, Vec<F>&) {
    squash<F>(net);
    h = (F(1) - net[1]) * net[2] + net[1] * h;
  }

  template <class F>
  LSTM_JAX_INLINE static void back(Vec<F> (&net)[4], Vec<F> h_tm1, Vec<F>,
                                   Vec<F>, Vec<F>& e_h, Vec<F>&) {
    const Vec<F> r = net[0], z = net[1], n = net[2];
    const Vec<F> e_n = e_h * (F(1) - z) * (F(1) - n * n);
    net[0] = e_n * net[3] * (r * (F(1) - r));
    net[1] = e_h * (h_tm1 - n) * (z * (F(1) - z));
    net[2] = e_n;
    net[3] = e_n * r;
    e_h = e_h * z;
  }
};

// Memory on vector boundaries, zero at first.
template <class F>
class Scratch {
 public:
  explicit Scratch(int64_t count) {
    size_t bytes = (std::max<int64_t>(count, 1) * sizeof(F) + 63) / 64 * 64;
    data_.reset(static_cast<F*>(std::aligned_alloc(64, bytes)));
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
  int64_t wide;  // C up to a whole number of vectors
  bool reverse;

  // The step that is taken s-th.
  int64_t at(int64_t s) const { return reverse ? steps - 1 - s : s; }
};

// Arrays of one net. `inside` [T, B, wide], the states c, and `gates`
// [T, B, 4, wide], what `squash` made, are what the way back needs and only it
// sees. A cell without a state c has arrays of it that are never read.
template <class F>
struct There {
  const F *xs, *h_0, *c_0;  // [T, B, I], [B, C], [B, C]
  const int32_t* lengths;  // [B]
  F *ys, *h, *c;  // [T, B, C], [B, C], [B, C]
  F *gates, *inside;  // null: not kept
};

template <class F>
struct Back {
  const F *xs, *h_0, *c_0;
  const int32_t* lengths;
  const F *ys, *inside;
  const F* gates;  // null: computed again
  const F *e_ys, *e_h, *e_c;  // errors of ys, h, c
  F *e_h_0, *e_c_0;  // [B, C]
  F* e_xs;  // [T, B, I]; null: not wanted
};

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

// One vector of cells of some rows, one step.
template <class F, class Cell>
void step_there(const Sizes& n, const There<F>& a, const F* packed,
                int64_t block, int64_t t, int64_t row, int rows, const F* h_tm1,
                F* h_t, F* c) {
  constexpr int lanes = kLanes<F>;
  Vec<F> sums[kRows][4];
  nets<F>(n, packed, block, rows, a.xs + (t * n.batch + row) * n.inputs, h_tm1,
          n.wide, sums);

  const int64_t first = block * lanes;
  const int count = int(std::min<int64_t>(lanes, n.cells - first));
  for (int r = 0; r < rows; ++r) {
    const int64_t at = t * n.batch + row + r;
    F* y = a.ys + at * n.cells + first;
    const int64_t here = r * n.wide + first;
    if (t >= a.lengths[row + r]) {
      store(h_t + here, load(h_tm1 + here));
      store_part(y, Vec<F>{}, count);
      continue;
    }
    Vec<F> h_now = load(h_tm1 + here), c_now = load(c + here);
    Cell::template there<F>(sums[r], h_now, c_now);
    store(c + here, c_now);
    store(h_t + here, h_now);
    store_part(y, h_now, count);
    if (Cell::kInside && a.inside)
      store(a.inside + at * n.wide + first, c_now);
    if (a.gates) {
      F* gates = a.gates + at * 4 * n.wide + first;
      for (int g = 0; g < 4; ++g) store(gates + g * n.wide, sums[r][g]);
    }
  }
}

// All steps of rows [from, to) of the batch. Each thread of a crew calls `run`.
template <class F, class Cell>
class LoopThere {
 public:
  LoopThere(const Sizes& n, const There<F>& a, const F* packed, int64_t from,
            int64_t to)
      : n_(n), a_(a), packed_(packed), from_(from), rows_(to - from),
        h_even_(rows_ * n.wide), h_odd_(rows_ * n.wide), c_(rows_ * n.wide) {
    for (int64_t r = 0; r < rows_; ++r) {
      const int64_t skip = (from + r) * n.cells;
      std::copy_n(a.h_0 + skip, n.cells, h_even_ + r * n.wide);
      std::copy_n(a.c_0 + skip, n.cells, c_ + r * n.wide);
    }
  }

  template <class Crew>
  void run(Crew crew) {
    const Sizes& n = n_;
    F *h_tm1 = h_even_, *h_t = h_odd_;
    for (int64_t s = 0; s < n.steps; ++s) {
      crew.each(n.wide / kLanes<F>, [&](int64_t block) {
        in_blocks(rows_, [&](int64_t row, int count) {
          const int64_t skip = row * n.wide;
          step_there<F, Cell>(n, a_, packed_, block, n.at(s), from_ + row,
                              count, h_tm1 + skip, h_t + skip, c_ + skip);
        });
      });
      std::swap(h_tm1, h_t);
    }
    crew.each(1, [&](int64_t) {
      for (int64_t r = 0; r < rows_; ++r) {
        const int64_t skip = (from_ + r) * n.cells;
        std::copy_n(h_tm1 + r * n.wide, n.cells, a_.h + skip);
        std::copy_n(c_ + r * n.wide, n.cells, a_.c + skip);
      }
    });
  }

 private:
  const Sizes& n_;
  const There<F> a_;
  const F* packed_;
  const int64_t from_, rows_;
  Scratch<F> h_even_, h_odd_, c_;
};

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

// What a step back of some rows starts from; pointers to the first row's.
template <class F>
struct Before {
  const F* h;  // [rows, C], h(t-1)
  const F* c;  // [rows, stride_c], c(t-1)
  int64_t stride_c;
};

// Some vectors of cells of some rows, one step back. `after` is e_net of the
// step taken after this one, null: none; `e_pass` errors of h that came past
// frozen steps or past the net inputs.
template <class F, class Cell>
void step_back(const Sizes& n, const Back<F>& a, const F* w, const F* forward,
               int64_t first, int vectors, int64_t t, Before<F> before,
               int64_t row, int rows, const F* after, F* e_net, F* e_pass,
               F* e_c) {
  constexpr int lanes = kLanes<F>;
  Vec<F> sums[kRows][kAbreast], gates[kRows][4];
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v)
      sums[r][v] = load(e_pass + r * n.wide + v * lanes);
  if (after) recur_some<F>(n, w, after, rows, vectors, sums);

  for (int v = 0; v < vectors; ++v) {
    const int64_t cell = first + v * lanes;
    const int count = int(std::min<int64_t>(lanes, n.cells - cell));
    if (!a.gates)
      nets<F>(n, forward, cell / lanes, rows,
              a.xs + (t * n.batch + row) * n.inputs, before.h, n.cells, gates);
    for (int r = 0; r < rows; ++r) {
      const int64_t at = t * n.batch + row + r;
      const int64_t here = r * n.wide + v * lanes;
      F* e = e_net + r * 4 * n.wide + cell;
      if (t >= a.lengths[row + r]) {
        store(e_pass + here, sums[r][v]);
        for (int g = 0; g < 4; ++g) store(e + g * n.wide, Vec<F>{});
        continue;
      }
      Vec<F> net[4];
      if (a.gates) {
        const F* kept = a.gates + at * 4 * n.wide + cell;
        for (int g = 0; g < 4; ++g) net[g] = load(kept + g * n.wide);
      } else {
        for (int g = 0; g < 4; ++g) net[g] = gates[r][g];
        Cell::template squash<F>(net);
      }
      Vec<F> e_h = sums[r][v] + load_part(a.e_ys + at * n.cells + cell, count);
      Vec<F> e_s = load(e_c + here), c_now = {}, c_tm1 = {};
      if (Cell::kInside) {
        c_now = load(a.inside + at * n.wide + cell);
        c_tm1 = load_part(before.c + r * before.stride_c + cell, count);
      }
      const Vec<F> h_tm1 = load_part(before.h + r * n.cells + cell, count);
      Cell::template back<F>(net, h_tm1, c_tm1, c_now, e_h, e_s);
      for (int g = 0; g < 4; ++g) store(e + g * n.wide, net[g]);
      store(e_pass + here, e_h);
      store(e_c + here, e_s);
    }
  }
}

// sums over rows of e_net z^T, the gradient of the weights, transposed:
// K sources and 4 vectors of rows.
template <class F, int K>
inline void outer(const F* const* z, const F* const* e, int64_t count,
                  int64_t skip_z, int64_t skip_e, int64_t stride, F* to) {
  constexpr int lanes = kLanes<F>;
  Vec<F> sums[K][4];
#pragma GCC unroll 8
  for (int k = 0; k < K; ++k)
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) sums[k][v] = load(to + k * stride + v * lanes);
  for (int64_t i = 0; i < count; ++i) {
    const F* row = e[i] + skip_e;
    const F* source = z[i] + skip_z;
    const Vec<F> e0 = load(row), e1 = load(row + lanes);
    const Vec<F> e2 = load(row + 2 * lanes), e3 = load(row + 3 * lanes);
#pragma GCC unroll 8
    for (int k = 0; k < K; ++k) {
      const Vec<F> s = splat<F>(source[k]);
      sums[k][0] += e0 * s;
      sums[k][1] += e1 * s;
      sums[k][2] += e2 * s;
      sums[k][3] += e3 * s;
    }
  }
#pragma GCC unroll 8
  for (int k = 0; k < K; ++k)
#pragma GCC unroll 4
    for (int v = 0; v < 4; ++v) store(to + k * stride + v * lanes, sums[k][v]);
}

// Rows of several steps whose share of the weights' gradient is still to be
// added to `total` [I + C + 1, 4 wide], the last row that of the biases.
template <class F>
class Gradient {
 public:
  Gradient(const Sizes& n, F* total) : n_(n), total_(total) {}

  void add(const F* x, const F* h, const F* e) {
    xs_.push_back(x), hs_.push_back(h), es_.push_back(e);
  }

  // Four vectors of columns.
  void settle(int64_t block) {
    constexpr int lanes = kLanes<F>;
    const int64_t stride = 4 * n_.wide, column = block * 4 * lanes;
    // Few rows at once: their errors stay in the first cache, the sums of a
    // block of columns in the second.
    const int64_t all = int64_t(es_.size());
    F* to = total_ + column;
    for (int64_t first = 0; first < all; first += kRowsAtOnce) {
      const int64_t count = std::min(kRowsAtOnce, all - first);
      some(xs_, n_.inputs, first, count, column, to);
      some(hs_, n_.cells, first, count, column, to + n_.inputs * stride);
    }
    to += (n_.inputs + n_.cells) * stride;
    for (const F* e : es_)
      for (int64_t v = 0; v < 4 * lanes; v += lanes)
        store(to + v, load(to + v) + load(e + column + v));
  }

  void clear() { xs_.clear(), hs_.clear(), es_.clear(); }

 private:
  static constexpr int64_t kRowsAtOnce = 96;

  void some(const std::vector<const F*>& z, int64_t sources, int64_t first,
            int64_t rows, int64_t column, F* to) {
    const int64_t stride = 4 * n_.wide;
    in_blocks(sources, [&](int64_t k, int count) {
      as_constant(count, [&](auto constant) {
        outer<F, constant.value>(z.data() + first, es_.data() + first, rows, k,
                                 column, stride, to + k * stride);
      });
    });
  }

  const Sizes& n_;
  F* total_;
  std::vector<const F*> xs_, hs_, es_;
};

// Weights as the way back reads them: of the way there, transposed W_h and W_x.
template <class F>
struct Packed {
  const F *forward, *w_h, *w_x;
};

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

// All steps back of rows [from, to); adds to `total` as `Gradient` has it. Each
// thread of a crew calls `run`.
template <class F, class Cell>
class LoopBack {
 public:
  LoopBack(const Sizes& n, const Back<F>& a, const Packed<F>& packed,
           int64_t from, int64_t to, F* total)
      : n_(n), a_(a), packed_(packed), from_(from), rows_(to - from),
        at_once_(std::max<int64_t>(
            (n.wide > 256 ? kManyRows : kSomeRows) /
                std::max<int64_t>(rows_, 1), 1)),
        e_pass_(rows_ * n.wide), e_c_(rows_ * n.wide),
        ring_((at_once_ + 1) * rows_ * 4 * n.wide),
        own_h_(rows_ * n.cells), own_c_(rows_ * n.wide),
        gradient_(n, total) {
    for (int64_t r = 0; r < rows_; ++r) {
      const int64_t skip = (from + r) * n.cells;
      std::copy_n(a.e_h + skip, n.cells, e_pass_ + r * n.wide);
      std::copy_n(a.e_c + skip, n.cells, e_c_ + r * n.wide);
    }
  }

  template <class Crew>
  void run(Crew crew) {
    const Sizes& n = n_;
    const F* after = nullptr;
    for (int64_t s = n.steps - 1; s >= 0; --s) {
      if (s && n.reverse) crew.each(1, [&](int64_t) { copy_before(s); });
      const Before<F> before = before_of(s);
      F* e_net = ring_ + s % (at_once_ + 1) * rows_ * 4 * n.wide;
      crew.each(blocks_of<F>(n.cells), [&](int64_t block) {
        auto some = [&](const F* w, int64_t first, int vectors, int64_t row,
                        int count) {
          const int64_t skip = row * n.wide;
          Before<F> here = {before.h + row * n.cells,
                            before.c + row * before.stride_c, before.stride_c};
          step_back<F, Cell>(n, a_, w, packed_.forward, first, vectors, n.at(s),
                             here, from_ + row, count,
                             after ? after + 4 * skip : nullptr,
                             e_net + 4 * skip, e_pass_ + skip + first,
                             e_c_ + skip + first);
        };
        over_rows<F>(n, packed_.w_h, n.cells, block, rows_, some);
      });
      if (a_.e_xs)
        crew.each(blocks_of<F>(n.inputs), [&](int64_t block) {
          through<F>(n, packed_.w_x, n.inputs, block, rows_, e_net, nullptr,
                     a_.e_xs + (n.at(s) * n.batch + from_) * n.inputs);
        });
      after = e_net;
      const bool settles = s % at_once_ == 0;
      crew.each(1, [&](int64_t) { gather(s, e_net); });
      if (settles) {
        crew.each(n.wide / kLanes<F>,
                  [&](int64_t block) { gradient_.settle(block); });
        crew.each(1, [&](int64_t) { gradient_.clear(); });
      }
    }
    // Through the first step into the state that it began with.
    crew.each(blocks_of<F>(n.cells), [&](int64_t block) {
      through<F>(n, packed_.w_h, n.cells, block, rows_, after, e_pass_,
                 a_.e_h_0 + from_ * n.cells);
    });
    crew.each(1, [&](int64_t) {
      for (int64_t r = 0; r < rows_; ++r)
        std::copy_n(e_c_ + r * n.wide, n.cells,
                    a_.e_c_0 + (from_ + r) * n.cells);
    });
  }

 private:
  // Rows whose share of the gradient is added together: many at once move the
  // sums in and out of memory less often.
  static constexpr int64_t kSomeRows = 128, kManyRows = 512;

  bool starts(int64_t s, int64_t r) const {
    // Backward in time a sequence begins where it ends.
    return s == 0 || (n_.reverse && n_.at(s) == a_.lengths[from_ + r] - 1);
  }

  const F* h_before(int64_t s, int64_t r) const {
    if (starts(s, r)) return a_.h_0 + (from_ + r) * n_.cells;
    return a_.ys + (n_.at(s - 1) * n_.batch + from_ + r) * n_.cells;
  }

  Before<F> before_of(int64_t s) const {
    if (s == 0)
      return {a_.h_0 + from_ * n_.cells, a_.c_0 + from_ * n_.cells, n_.cells};
    if (n_.reverse) return {own_h_, own_c_, n_.wide};
    const int64_t skip = n_.at(s - 1) * n_.batch + from_;
    const F* c = Cell::kInside ? a_.inside + skip * n_.wide : nullptr;
    return {h_before(s, 0), c, n_.wide};
  }

  // Where not all rows begin in the same step.
  void copy_before(int64_t s) {
    for (int64_t r = 0; r < rows_; ++r) {
      std::copy_n(h_before(s, r), n_.cells, own_h_ + r * n_.cells);
      if (!Cell::kInside) continue;
      const F* c =
          starts(s, r)
              ? a_.c_0 + (from_ + r) * n_.cells
              : a_.inside + (n_.at(s - 1) * n_.batch + from_ + r) * n_.wide;
      std::copy_n(c, n_.cells, own_c_ + r * n_.wide);
    }
  }

  void gather(int64_t s, const F* e_net) {
    const int64_t t = n_.at(s);
    for (int64_t r = 0; r < rows_; ++r)
      if (t < a_.lengths[from_ + r])
        gradient_.add(a_.xs + (t * n_.batch + from_ + r) * n_.inputs,
                      h_before(s, r), e_net + r * 4 * n_.wide);
  }

  const Sizes& n_;
  const Back<F> a_;
  const Packed<F> packed_;
  const int64_t from_, rows_, at_once_;
  Scratch<F> e_pass_, e_c_;
  Scratch<F> ring_;  // e_net of the last steps
  Scratch<F> own_h_, own_c_;
  Gradient<F> gradient_;
};

}  // namespace lstm_jax

#endif  // LSTM_JAX_NATIVE_LOOPS_H_
