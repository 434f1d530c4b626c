// Prints the bits that steps of the truncated rule end with: for the test of
// other processors, without JAX.
#include <cstdio>
#include <cstring>
#include <vector>

#include "truncated_draw.h"
#include "truncated_lane.h"

using namespace lstm_jax;

// The state of some lanes, and after steps of theirs.
template <class F>
struct Lanes {
  int64_t lanes;
  std::vector<F> w, xs, s, y, net, traces;
  std::vector<int32_t> begin;

  Lanes(const Net& n, int64_t lanes) : lanes(lanes) {
    uint32_t seed = 1;
    auto drawn = [&](int64_t rows) {
      std::vector<F> array(rows * lanes);
      for (F& x : array) {
        seed = seed * 1664525u + 1013904223u;
        x = F(int32_t(seed) >> 8) / F(1 << 22);
      }
      return array;
    };
    w = drawn(n.units() * n.sources()), xs = drawn(n.inputs * kGiven);
    s = drawn(n.cells), y = drawn(n.activations()), net = drawn(n.units());
    traces = drawn(n.kinds() * n.cells * n.sources());
    // Of a net that forgets they fade before its first step, too.
    if (n.forgets) traces.assign(traces.size(), 0);
    for (int64_t i = 0; i < lanes; ++i) begin.push_back(int32_t(3 * i));
  }

  RuleArrays<F> arrays() {
    return {lanes,    w.data(),   kGiven,        xs.data(), begin.data(),
            s.data(), y.data(),   traces.data(), s.data(),  y.data(),
            traces.data(), net.data()};
  }

  std::vector<F> results() const {
    std::vector<F> all;
    for (const auto* array : {&s, &y, &traces, &net})
      all.insert(all.end(), array->begin(), array->end());
    return all;
  }

  static constexpr int64_t kGiven = 70;
};

template <class F>
void print_bits(const std::vector<F>& all) {
  for (F x : all) {
    uint64_t bits = 0;
    std::memcpy(&bits, &x, sizeof x);
    std::printf("%llx\n", static_cast<unsigned long long>(bits));
  }
}

// Prints the bits of all; false where those of a lane depend on the others.
template <class F>
bool print(const Net& n, int64_t lanes) {
  Lanes<F> together(n, lanes), one_by_one(n, lanes), in_vectors(n, lanes);
  constexpr int64_t steps = Lanes<F>::kGiven - 1;
  run_lanes<F>(n, together.arrays(), 0, steps);
  for (int64_t lane = 0; lane < lanes; ++lane)
    run_lane<F>(n, one_by_one.arrays(), lane, 0, steps);
  for (int64_t lane = 0; lane < lanes; lane += kLanes<F>)
    TruncatedLoop<F>(n, in_vectors.arrays(), lane).run(0, steps);
  const auto all = together.results();
  print_bits(all);
  const size_t bytes = all.size() * sizeof(F);
  return !std::memcmp(all.data(), one_by_one.results().data(), bytes) &&
         !std::memcmp(all.data(), in_vectors.results().data(), bytes);
}

// Prints the bits of inputs of each kind.
template <class F>
void print_drawn(int64_t lanes) {
  std::vector<uint32_t> key;
  std::vector<int32_t> begin, at;
  std::vector<float> shown;
  for (int64_t i = 0; i < 2 * lanes; ++i) key.push_back(12345u * uint32_t(i));
  for (int64_t i = 0; i < lanes; ++i) {
    begin.push_back(int32_t(i % 3)), shown.push_back(i % 2 ? 1.0f : -1.0f);
    at.push_back(int32_t(i));
  }
  at.insert(at.end(), lanes, 1);
  const float value = 2;
  Draws uniform = {-1, 1, 2, -1, -1, false, 1, key.data(), at.data(),
                         &value, shown.data()};
  Draws symbols = uniform, noise = uniform;
  symbols.symbols = 1, symbols.bits = 2;
  noise.scale = 0.4472135954999579, noise.signal = 3, noise.is_noisy = true;
  for (const Draws* draws : {&uniform, &symbols, &noise}) {
    std::vector<F> xs(5 * 90 * lanes);
    Drawing<F>(*draws, 5, lanes, begin.data()).draw(1, 90, xs.data());
    print_bits(xs);
  }
}

int main() {
  for (int64_t lanes : {1, 3, 21}) {
    print_drawn<float>(lanes);
    print_drawn<double>(lanes);
  }
  bool same = true;
  for (const Net& n : {Net{2, 4, 2, 2, 2, 8, false, 0, 0},
                       Net{3, 3, 0, 3, 1, 3, false, 1, 1},
                       Net{1, 6, 2, 0, 3, 0, false, 2, 2},
                       Net{2, 9, 3, 3, 3, 15, false, 0, 0},
                       Net{14, 20, 10, 10, 2, 40, false, 1, 0},
                       Net{2, 5, 0, 0, 1, 5, true, 0, 0},
                       Net{2, 18, 0, 0, 1, 18, true, 0, 0},
                       Net{2, 1, 0, 0, 1, 0, true, 0, 0}})
    for (int64_t lanes : {1, 3, 16, 21}) {
      same &= print<float>(n, lanes);
      same &= print<double>(n, lanes);
    }
  return same ? 0 : 1;
}
