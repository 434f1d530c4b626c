// The loop over time of a layer, for one net and some of the rows of a batch.
//
// A step of a row is one product of [x(t), h(t-1)] with the weights of all net
// inputs, in which the sums stay in registers until the new state has been
// computed from them: nothing is stored between. Rows of a batch never meet, so
// threads share out the batch and need no synchronization.
#ifndef LSTM_JAX_NN_NATIVE_FORWARD_H_
#define LSTM_JAX_NN_NATIVE_FORWARD_H_

#include "cells.h"
#include "matmul.h"

namespace lstm_jax {

// The net inputs of up to `Most` rows: of one where the call is, so that they
// stay in registers, of more in a function that cells share.
template <class F, class Cell, int Most>
LSTM_JAX_INLINE void nets_of(const Sizes& n, const F* packed, int64_t block,
                             int rows, const F* x, const F* h_tm1,
                             int64_t stride,
                             Vec<F> (&to)[Most][kVectorsPerBlock]) {
  constexpr int from_x = used(Cell::from_x), from_h = used(Cell::from_h);
  // A block of a cell with four net inputs is whole: what there would be for
  // less of one is not compiled, unless others have it anyway.
  if constexpr (Most == 1) {
    nets<F, from_x, from_h, Cell::kNets>(n, packed, block, 1, x, h_tm1, stride,
                                         to);
  } else {
    constexpr int least = from_x == from_h ? 1 : Cell::kNets;
    nets_of_rows<F, from_x, from_h, least>(n, packed, block, rows, x, h_tm1,
                                           stride, to);
  }
}

// The vectors of cells of one block of up to `Most` rows, one step. Of one row,
// which waits for every step, all stays in registers.
template <class F, class Cell, int Most>
void step_forward(const Sizes& n, const ForwardArrays<F>& a, const F* packed,
                  int64_t block, int64_t t, int64_t row, int rows,
                  const F* h_tm1, F* h_t, F* c) {
  constexpr int lanes = kLanes<F>;
  if (Most == 1) rows = 1;
  Vec<F> sums[Most][kVectorsPerBlock];
  const F* x = a.xs + (t * n.batch + row) * n.inputs;
  nets_of<F, Cell>(n, packed, block, rows, x, h_tm1, n.padded, sums);

  const int vectors = vectors_of<F>(n.row(), block) / Cell::kNets;
#pragma GCC unroll 4
  for (int v = 0; v < kVectorsPerBlock / Cell::kNets; ++v) {
    if (v == vectors) break;
    const int64_t first =
        (block * (kVectorsPerBlock / Cell::kNets) + v) * lanes;
    const int count = int(std::min<int64_t>(lanes, n.cells - first));
    Vec<F> net[Most][Cell::kNets], states[Most];
    for (int r = 0; r < rows; ++r) {
      for (int g = 0; g < Cell::kNets; ++g)
        net[r][g] = sums[r][v * Cell::kNets + g];
      states[r] = load(c + r * n.padded + first);
      Cell::template first<F>(net[r], states[r]);
    }
    for (int r = 0; r < rows; ++r) {
      const int64_t at = t * n.batch + row + r;
      F* y = a.ys + at * n.cells + first;
      const int64_t here = r * n.padded + first;
      if (t >= a.lengths[row + r]) {
        store(h_t + here, load(h_tm1 + here));
        store_part(y, Vec<F>{}, count);
        // Never read, but who looks for nan in all that is made finds none.
        if (Cell::kInside && a.inside)
          store(a.inside + at * n.padded + first, Vec<F>{});
        if (Cell::kGates && a.gates)
          for (int g = 0; g < Cell::kNets; ++g)
            store(a.gates + at * n.row() + first + g * n.padded, Vec<F>{});
        continue;
      }
      Vec<F> h_now = load(h_tm1 + here);
      const Vec<F> c_now = states[r];
      Cell::template second<F>(net[r], h_now, c_now);
      store(c + here, c_now);
      store(h_t + here, h_now);
      store_part(y, h_now, count);
      if (Cell::kInside && a.inside)
        store(a.inside + at * n.padded + first, c_now);
      if (Cell::kGates && a.gates) {
        F* gates = a.gates + at * n.row() + first;
        for (int g = 0; g < Cell::kNets; ++g)
          store(gates + g * n.padded, net[r][g]);
      }
    }
  }
}

// A cell's own part of the forward pass: all else is compiled once for all.
template <class F>
struct ForwardCell {
  const int *from_x, *from_h;
  decltype(&step_forward<F, Lstm, 1>) one, many;  // steps of up to kRows rows
};

template <class F, class Cell>
constexpr ForwardCell<F> kForwardCell = {Cell::from_x, Cell::from_h,
                                         step_forward<F, Cell, 1>,
                                         step_forward<F, Cell, kRows>};

// All steps of rows [from, to) of the batch. Each thread of a crew calls `run`.
template <class F>
class ForwardLoop {
 public:
  ForwardLoop(const Sizes& n, const ForwardCell<F>& cell,
              const ForwardArrays<F>& a, const F* packed, int64_t from,
              int64_t to)
      : n_(n), cell_(cell), a_(a), packed_(packed), from_(from),
        rows_(to - from), h_even_(rows_ * n.padded),
        h_odd_(rows_ * n.padded), c_(rows_ * n.padded) {
    for (int64_t r = 0; r < rows_; ++r) {
      const int64_t skip = (from + r) * n.cells;
      std::copy_n(a.h_0 + skip, n.cells, h_even_ + r * n.padded);
      std::copy_n(a.c_0 + skip, n.cells, c_ + r * n.padded);
    }
  }

  template <class Crew>
  void run(Crew crew) {
    const Sizes& n = n_;
    F *h_tm1 = h_even_, *h_t = h_odd_;
    for (int64_t s = 0; s < n.steps; ++s) {
      crew.each(blocks_of<F>(n.row()), [&](int64_t block) {
        in_blocks(rows_, [&](int64_t row, int count) {
          const int64_t skip = row * n.padded;
          const auto step = count == 1 ? cell_.one : cell_.many;
          step(n, a_, packed_, block, n.at(s), from_ + row, count,
               h_tm1 + skip, h_t + skip, c_ + skip);
        });
      });
      std::swap(h_tm1, h_t);
    }
    crew.each(1, [&](int64_t) {
      for (int64_t r = 0; r < rows_; ++r) {
        const int64_t skip = (from_ + r) * n.cells;
        std::copy_n(h_tm1 + r * n.padded, n.cells, a_.h + skip);
        std::copy_n(c_ + r * n.padded, n.cells, a_.c + skip);
      }
    });
  }

 private:
  const Sizes& n_;
  const ForwardCell<F> cell_;
  const ForwardArrays<F> a_;
  const F* packed_;
  const int64_t from_, rows_;
  Scratch<F> h_even_, h_odd_, c_;
};

}  // namespace lstm_jax

#endif  // LSTM_JAX_NN_NATIVE_FORWARD_H_
