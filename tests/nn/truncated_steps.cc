// Prints the bits that steps of the truncated rule end with: for the test of
// other processors, without JAX.
#include <cstdio>
#include <cstring>
#include <vector>

#include "truncated.h"

using namespace lstm_jax;

template <class F>
void print(const Net& n, int64_t lanes) {
  constexpr int64_t given = 70;
  uint32_t seed = 1;
  auto drawn = [&](int64_t rows) {
    std::vector<F> array(rows * lanes);
    for (F& x : array) {
      seed = seed * 1664525u + 1013904223u;
      x = F(int32_t(seed) >> 8) / F(1 << 22);
    }
    return array;
  };
  const auto w = drawn(n.units() * n.sources()), xs = drawn(n.inputs * given);
  auto s = drawn(n.cells), y = drawn(n.activations()), net = drawn(n.units());
  auto traces = drawn(n.kinds() * n.cells * n.sources());
  std::vector<int32_t> begin(lanes);
  for (int64_t i = 0; i < lanes; ++i) begin[i] = int32_t(3 * i);
  const RuleArrays<F> a = {
      lanes,    w.data(), given,         xs.data(), begin.data(), s.data(),
      y.data(), traces.data(), s.data(), y.data(),  traces.data(), net.data()};
  for (int64_t lane = 0; lane < lanes; lane += kLanes<F>)
    TruncatedLoop<F>(n, a, lane).run(0, given - 1);
  for (const auto* array : {&s, &y, &traces, &net})
    for (F x : *array) {
      uint64_t bits = 0;
      std::memcpy(&bits, &x, sizeof x);
      std::printf("%llx\n", static_cast<unsigned long long>(bits));
    }
}

int main() {
  for (const Net& n : {Net{2, 4, 2, 2, 2, 8, false, 0, 0},
                       Net{3, 3, 0, 3, 1, 3, false, 1, 1},
                       Net{1, 6, 2, 0, 3, 0, false, 2, 2},
                       Net{2, 5, 0, 0, 1, 5, true, 0, 0}})
    for (int64_t lanes : {1, 16, 21}) {
      print<float>(n, lanes);
      print<double>(n, lanes);
    }
}
