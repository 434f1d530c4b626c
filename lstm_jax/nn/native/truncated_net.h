// The net of the truncated rule, and the arrays of its steps.
#ifndef LSTM_JAX_NN_NATIVE_TRUNCATED_NET_H_
#define LSTM_JAX_NN_NATIVE_TRUNCATED_NET_H_

#include <cstdint>

namespace lstm_jax {

// Sources of a hidden unit are, in this order: 1, the input lines, and of the
// activations of one step ago, [gates and] cells, the last `heard`.
struct Net {
  int64_t inputs, cells, in_gates, out_gates, block, heard;
  bool forgets;
  int64_t g, h;  // ranges of the squashing functions
  int64_t gates() const { return forgets ? 0 : in_gates + out_gates; }
  // Activations that one step hands to the next.
  int64_t activations() const { return gates() + cells; }
  int64_t units() const { return forgets ? 4 * cells : gates() + cells; }
  int64_t sources() const { return 1 + inputs + heard; }
  // Kinds of units that act on an internal state, a trace each: g, y_in, y_f.
  int64_t kinds() const { return forgets ? 3 : in_gates ? 2 : 1; }
  // Where among 1, inputs and all activations a source is.
  int64_t place(int64_t source) const {
    return source <= inputs ? source : source + activations() - heard;
  }
  int64_t places() const { return 1 + inputs + activations(); }
};

// What every step leaves for the errors of its outputs, [rows, steps, L] each:
// net inputs, and of the step before internal states and activations; ds/dnet of
// each kind of unit and ds/ds one step ago. The traces are then made of these
// (`truncated_errors.h`) and not here. Null: nothing is left.
template <class F>
struct Kept {
  int64_t steps;
  F *nets, *states, *activations, *factors, *decays;
};

// Arrays of all lanes, `lanes` last.
template <class F>
struct RuleArrays {
  int64_t lanes;
  const F* w;  // [U, S]
  int64_t given;  // inputs, L
  const F* xs;  // [I, L]
  const int32_t* begin;  // the step that is the lane's first
  const F *s_0, *y_0, *traces_0;  // [C], [Y], [kinds C, S]
  F *s, *y, *traces;  // the same, after the steps
  F* net;  // [U] net inputs of the step that is next, where its input is given
  Kept<F> kept = {};
};

}  // namespace lstm_jax

#endif  // LSTM_JAX_NN_NATIVE_TRUNCATED_NET_H_
