// What is a cell's own: which rows of its weights make each of its net inputs,
// four or one, and what a step makes of them, forward and
// backward. Of net inputs that have
// no weights from one of the two sides the products leave these out.
//
// Each has
//   kNets           its net inputs
//   kInside         whether c is a state, kept for the backward pass
//   kGates          whether `backward` reads gates, kept or made again; else
//                   `net` is the new h there
//   from_x, from_h  the C rows of w_x and w_h for a net input; -1: none
//   first, second   the new state from net inputs and the old state, c in
//                   `first`, h in `second`; `net` becomes the gates. All rows
//                   of a block take `first` and then all take `second`: within
//                   a row one squashing function would wait for the other
//   again           the gates from the net inputs
//   ahead           what `backward` reads in place of c
//   backward        cotangents of the net inputs, and of the old state past
//                   them
#ifndef LSTM_JAX_NN_NATIVE_CELLS_H_
#define LSTM_JAX_NN_NATIVE_CELLS_H_

#include "simd.h"

namespace lstm_jax {

// `cells.lstm`: y_in, y_f, g, y_out; states c = s_c and h = y_c.
struct Lstm {
  static constexpr int kNets = 4;
  static constexpr bool kInside = true, kGates = true;
  static constexpr int from_x[4] = {0, 1, 2, 3};
  static constexpr int from_h[4] = {0, 1, 2, 3};

  template <class F>
  LSTM_JAX_INLINE static void again(Vec<F> (&net)[4]) {
    net[0] = logistic<F>(net[0]), net[1] = logistic<F>(net[1]);
    net[2] = hyperbolic<F>(net[2]), net[3] = logistic<F>(net[3]);
  }

  template <class F>
  LSTM_JAX_INLINE static void first(Vec<F> (&net)[4], Vec<F>& c) {
    again<F>(net);
    c = net[1] * c + rounded(net[0] * net[2]);
  }

  template <class F>
  LSTM_JAX_INLINE static void second(Vec<F> (&net)[4], Vec<F>& h, Vec<F> c) {
    h = net[3] * hyperbolic<F>(c);
  }

  template <class F>
  LSTM_JAX_INLINE static Vec<F> ahead(Vec<F> c) { return hyperbolic<F>(c); }

  // `ct_h`, `ct_c`: of the new state, then of the old one, of h what does not
  // go through the net inputs. `net` becomes its own cotangent.
  template <class F>
  LSTM_JAX_INLINE static void backward(Vec<F> (&net)[4], Vec<F> h_tm1,
                                       Vec<F> c_tm1, Vec<F> squashed,
                                       Vec<F>& ct_h, Vec<F>& ct_c) {
    const Vec<F> y_in = net[0], y_f = net[1], g = net[2], y_out = net[3];
    const Vec<F> ct_s = ct_c + ct_h * y_out * (F(1) - squashed * squashed);
    net[0] = ct_s * g * (y_in * (F(1) - y_in));
    net[1] = ct_s * c_tm1 * (y_f * (F(1) - y_f));
    net[2] = ct_s * y_in * (F(1) - g * g);
    net[3] = ct_h * squashed * (y_out * (F(1) - y_out));
    ct_c = ct_s * y_f;
    ct_h = Vec<F>{};
  }
};

// `cells.gru` with reset 'after': r, z, and for n what comes from x and what
// comes from h(t-1), apart. One state, h.
struct Gru {
  static constexpr int kNets = 4;
  static constexpr bool kInside = false, kGates = true;
  static constexpr int from_x[4] = {0, 1, 2, -1};
  static constexpr int from_h[4] = {0, 1, -1, 2};

  template <class F>
  LSTM_JAX_INLINE static void again(Vec<F> (&net)[4]) {
    Vec<F> c;
    first<F>(net, c);
    net[2] = hyperbolic<F>(net[2]);
  }

  template <class F>
  LSTM_JAX_INLINE static void first(Vec<F> (&net)[4], Vec<F>&) {
    net[0] = logistic<F>(net[0]), net[1] = logistic<F>(net[1]);
    net[2] = net[2] + net[0] * net[3];
  }

  template <class F>
  LSTM_JAX_INLINE static void second(Vec<F> (&net)[4], Vec<F>& h, Vec<F>) {
    net[2] = hyperbolic<F>(net[2]);
    h = (F(1) - net[1]) * net[2] + rounded(net[1] * h);
  }

  template <class F>
  LSTM_JAX_INLINE static Vec<F> ahead(Vec<F> c) { return c; }

  template <class F>
  LSTM_JAX_INLINE static void backward(Vec<F> (&net)[4], Vec<F> h_tm1,
                                       Vec<F>, Vec<F>, Vec<F>& ct_h, Vec<F>&) {
    const Vec<F> r = net[0], z = net[1], n = net[2];
    const Vec<F> ct_n = ct_h * (F(1) - z) * (F(1) - n * n);
    net[0] = ct_n * net[3] * (r * (F(1) - r));
    net[1] = ct_h * (h_tm1 - n) * (z * (F(1) - z));
    net[2] = ct_n;
    net[3] = ct_n * r;
    ct_h = ct_h * z;
  }
};

// The three functions of `cells.srn`, and their slopes where they are `y`.
struct Tanh {
  template <class F>
  LSTM_JAX_INLINE static Vec<F> value(Vec<F> x) { return hyperbolic<F>(x); }
  template <class F>
  LSTM_JAX_INLINE static Vec<F> slope(Vec<F> y) { return F(1) - y * y; }
};

struct Logistic {
  template <class F>
  LSTM_JAX_INLINE static Vec<F> value(Vec<F> x) { return logistic<F>(x); }
  template <class F>
  LSTM_JAX_INLINE static Vec<F> slope(Vec<F> y) { return y * (F(1) - y); }
};

struct Relu {
  template <class F>
  LSTM_JAX_INLINE static Vec<F> value(Vec<F> x) {
    return x < F(0) ? Vec<F>{} : x;  // nan stays nan
  }
  template <class F>
  LSTM_JAX_INLINE static Vec<F> slope(Vec<F> y) {
    return y > F(0) ? splat<F>(1) : Vec<F>{};
  }
};

// `cells.srn` that is fully connected. One state, h, which is all that the
// backward pass reads.
template <class Squash>
struct Srn {
  static constexpr int kNets = 1;
  static constexpr bool kInside = false, kGates = false;
  static constexpr int from_x[1] = {0};
  static constexpr int from_h[1] = {0};

  template <class F>
  LSTM_JAX_INLINE static void first(Vec<F> (&)[1], Vec<F>&) {}

  template <class F>
  LSTM_JAX_INLINE static void second(Vec<F> (&net)[1], Vec<F>& h, Vec<F>) {
    h = net[0] = Squash::template value<F>(net[0]);
  }

  template <class F>
  LSTM_JAX_INLINE static Vec<F> ahead(Vec<F> c) { return c; }

  template <class F>
  LSTM_JAX_INLINE static void backward(Vec<F> (&net)[1], Vec<F>, Vec<F>,
                                       Vec<F>, Vec<F>& ct_h, Vec<F>&) {
    net[0] = ct_h * Squash::template slope<F>(net[0]);
    ct_h = Vec<F>{};
  }
};

}  // namespace lstm_jax

#endif  // LSTM_JAX_NN_NATIVE_CELLS_H_
