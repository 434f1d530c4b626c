// The loop over time backward, with the gradient of the weights, for one
// network and some of the rows of a batch.
#ifndef LSTM_JAX_NN_NATIVE_BACKWARD_H_
#define LSTM_JAX_NN_NATIVE_BACKWARD_H_

#include "weight_gradient.h"
#include "forward.h"

namespace lstm_jax {

// What a step backward of some rows starts from; pointers to the first row's.
template <class F>
struct Before {
  const F* h;  // [rows, C], h(t-1)
  const F* c;  // [rows, stride_c], c(t-1)
  int64_t stride_c;
};

// Some vectors of cells of some rows, one step backward. `after` is ct_net of
// the step taken after this one, null: none; `ct_pass` cotangents of h that
// came past frozen steps or past the net inputs.
template <class F, class Cell>
void step_backward(const Sizes& n, const BackwardArrays<F>& a, const F* w,
                   const F* forward, int64_t first, int vectors, int64_t t,
                   Before<F> before, int64_t row, int rows, const F* after,
                   F* ct_net, F* ct_pass, F* ct_c) {
  constexpr int lanes = kLanes<F>;
  Vec<F> sums[kRows][kVectorsPerBlock];
  for (int r = 0; r < rows; ++r)
    for (int v = 0; v < vectors; ++v)
      sums[r][v] = load(ct_pass + r * n.padded + v * lanes);
  if (after) recur<F>(n, w, Cell::from_h, after, rows, vectors, sums);

  for (int v = 0; v < vectors; ++v) {
    const int64_t cell = first + v * lanes;
    const int count = int(std::min<int64_t>(lanes, n.cells - cell));
    Vec<F> gates[kRows][kVectorsPerBlock], states[kRows] = {};
    if (Cell::kGates && !a.gates)
      nets_of<F, Cell>(n, forward, cell / lanes, rows,
                       a.xs + (t * n.batch + row) * n.inputs, before.h, n.cells,
                       gates);
    for (int r = 0; r < rows; ++r) {
      const int64_t at = t * n.batch + row + r;
      if constexpr (!Cell::kGates) {
        gates[r][0] = load_part(a.ys + at * n.cells + cell, count);
      } else if (a.gates) {
        const F* kept = a.gates + at * n.row() + cell;
        for (int g = 0; g < Cell::kNets; ++g)
          gates[r][g] = load(kept + g * n.padded);
      } else {
        Cell::template again<F>(gates[r]);
      }
      if (Cell::kInside)
        states[r] =
            Cell::template ahead<F>(load(a.inside + at * n.padded + cell));
    }
    for (int r = 0; r < rows; ++r) {
      const int64_t at = t * n.batch + row + r;
      const int64_t here = r * n.padded + v * lanes;
      F* e = ct_net + r * n.row() + cell;
      if (t >= a.lengths[row + r]) {
        store(ct_pass + here, sums[r][v]);
        for (int g = 0; g < Cell::kNets; ++g)
          store(e + g * n.padded, Vec<F>{});
        continue;
      }
      Vec<F> net[Cell::kNets];
      for (int g = 0; g < Cell::kNets; ++g) net[g] = gates[r][g];
      Vec<F> ct_h =
          sums[r][v] + load_part(a.ct_ys + at * n.cells + cell, count);
      Vec<F> ct_s = load(ct_c + here), c_tm1 = {};
      if (Cell::kInside)
        c_tm1 = load_part(before.c + r * before.stride_c + cell, count);
      const Vec<F> h_tm1 = load_part(before.h + r * n.cells + cell, count);
      Cell::template backward<F>(net, h_tm1, c_tm1, states[r], ct_h, ct_s);
      for (int g = 0; g < Cell::kNets; ++g) store(e + g * n.padded, net[g]);
      store(ct_pass + here, ct_h);
      store(ct_c + here, ct_s);
    }
  }
}

// Weights as the backward pass reads them: of the forward pass, transposed W_h
// and W_x.
template <class F>
struct Packed {
  const F *forward, *w_h, *w_x;
};

// A cell's own part of the backward pass, as `ForwardCell`.
template <class F>
struct BackwardCell {
  const int *from_x, *from_h;
  bool inside, gates;
  decltype(&step_backward<F, Lstm>) step;
};

template <class F, class Cell>
constexpr BackwardCell<F> kBackwardCell = {Cell::from_x, Cell::from_h,
                                           Cell::kInside, Cell::kGates,
                                           step_backward<F, Cell>};

// All steps backward of rows [from, to); adds to `total` as `Gradient` has it.
// Each thread of a crew calls `run`.
template <class F>
class BackwardLoop {
 public:
  BackwardLoop(const Sizes& n, const BackwardCell<F>& cell,
               const BackwardArrays<F>& a, const Packed<F>& packed,
               int64_t from, int64_t to, F* total)
      : n_(n), cell_(cell), a_(a), packed_(packed), from_(from),
        rows_(to - from),
        at_once_(std::max<int64_t>(
            (n.padded > 256 ? kManyRows : kSomeRows) /
                std::max<int64_t>(rows_, 1), 1)),
        ct_pass_(rows_ * n.padded), ct_c_(rows_ * n.padded),
        ring_((at_once_ + 1) * rows_ * n.row()),
        own_h_(rows_ * n.cells), own_c_(rows_ * n.padded),
        gradient_(n, cell.from_x, cell.from_h, at_once_ * rows_, total) {
    for (int64_t r = 0; r < rows_; ++r) {
      const int64_t skip = (from + r) * n.cells;
      std::copy_n(a.ct_h + skip, n.cells, ct_pass_ + r * n.padded);
      std::copy_n(a.ct_c + skip, n.cells, ct_c_ + r * n.padded);
    }
  }

  template <class Crew>
  void run(Crew crew) {
    const Sizes& n = n_;
    const F* after = nullptr;
    for (int64_t s = n.steps - 1; s >= 0; --s) {
      if (s && n.reverse) crew.each(1, [&](int64_t) { copy_before(s); });
      const Before<F> before = before_of(s);
      F* ct_net = ring_ + s % (at_once_ + 1) * rows_ * n.row();
      crew.each(blocks_of<F>(n.cells), [&](int64_t block) {
        auto some = [&](const F* w, int64_t first, int vectors, int64_t row,
                        int count) {
          const int64_t skip = row * n.padded;
          Before<F> here = {before.h + row * n.cells,
                            before.c + row * before.stride_c, before.stride_c};
          cell_.step(n, a_, w, packed_.forward, first, vectors, n.at(s), here,
                     from_ + row, count,
                     after ? after + n.nets * skip : nullptr,
                     ct_net + n.nets * skip, ct_pass_ + skip + first,
                     ct_c_ + skip + first);
        };
        over_rows<F>(n, packed_.w_h, n.cells, block, rows_, some);
      });
      if (a_.ct_xs)
        crew.each(blocks_of<F>(n.inputs), [&](int64_t block) {
          through<F>(n, packed_.w_x, cell_.from_x, n.inputs, block, rows_,
                     ct_net, nullptr,
                     a_.ct_xs + (n.at(s) * n.batch + from_) * n.inputs);
        });
      after = ct_net;
      const bool settles = s % at_once_ == 0;
      crew.each(1, [&](int64_t) { gather(s, ct_net); });
      if (settles) {
        crew.each(gradient_.parts(),
                  [&](int64_t part) { gradient_.pack(part); });
        crew.each(blocks_of<F>(n.row()),
                  [&](int64_t block) { gradient_.settle(block); });
        crew.each(1, [&](int64_t) { gradient_.clear(); });
      }
    }
    // Through the first step into the state that it began with.
    crew.each(blocks_of<F>(n.cells), [&](int64_t block) {
      through<F>(n, packed_.w_h, cell_.from_h, n.cells, block, rows_, after,
                 ct_pass_, a_.ct_h_0 + from_ * n.cells);
    });
    crew.each(1, [&](int64_t) {
      for (int64_t r = 0; r < rows_; ++r)
        std::copy_n(ct_c_ + r * n.padded, n.cells,
                    a_.ct_c_0 + (from_ + r) * n.cells);
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
    if (n_.reverse) return {own_h_, own_c_, n_.padded};
    const int64_t skip = n_.at(s - 1) * n_.batch + from_;
    const F* c = cell_.inside ? a_.inside + skip * n_.padded : nullptr;
    return {h_before(s, 0), c, n_.padded};
  }

  // Where not all rows begin in the same step.
  void copy_before(int64_t s) {
    for (int64_t r = 0; r < rows_; ++r) {
      std::copy_n(h_before(s, r), n_.cells, own_h_ + r * n_.cells);
      if (!cell_.inside) continue;
      const F* c =
          starts(s, r)
              ? a_.c_0 + (from_ + r) * n_.cells
              : a_.inside + (n_.at(s - 1) * n_.batch + from_ + r) * n_.padded;
      std::copy_n(c, n_.cells, own_c_ + r * n_.padded);
    }
  }

  void gather(int64_t s, const F* ct_net) {
    const int64_t t = n_.at(s);
    for (int64_t r = 0; r < rows_; ++r)
      if (t < a_.lengths[from_ + r])
        gradient_.add(a_.xs + (t * n_.batch + from_ + r) * n_.inputs,
                      h_before(s, r), ct_net + r * n_.row());
  }

  const Sizes& n_;
  const BackwardCell<F> cell_;
  const BackwardArrays<F> a_;
  const Packed<F> packed_;
  const int64_t from_, rows_, at_once_;
  Scratch<F> ct_pass_, ct_c_;
  Scratch<F> ring_;  // ct_net of the last steps
  Scratch<F> own_h_, own_c_;
  Gradient<F> gradient_;
};

}  // namespace lstm_jax

#endif  // LSTM_JAX_NN_NATIVE_BACKWARD_H_
