// What a call is given, held against its cell before any of it is read: a call
// can be made by anybody, with buffers of any kind.
#ifndef LSTM_JAX_NN_NATIVE_CHECKS_H_
#define LSTM_JAX_NN_NATIVE_CHECKS_H_

#include <exception>
#include <new>
#include <string>
#include <vector>

#include "cells.h"
#include "xla/ffi/api/ffi.h"

namespace lstm_jax {

namespace ffi = xla::ffi;

using Dims = std::vector<int64_t>;

// What the shapes of a cell's arrays depend on.
struct Facts {
  int64_t rows;  // of w_x and w_h, a cell
  int64_t biases;  // a cell
  bool inside, gates;  // what is kept for the backward pass
};

template <class Cell>
constexpr Facts facts() {
  int rows = 0;
  for (int row : Cell::from_x) rows = std::max(rows, row + 1);
  for (int row : Cell::from_h) rows = std::max(rows, row + 1);
  return {rows, Cell::kNets, Cell::kInside, Cell::kGates};
}

// In the order of `CELLS` in loops.py.
constexpr Facts kFacts[] = {facts<Lstm>(), facts<Gru>(), facts<Srn<Tanh>>(),
                            facts<Srn<Logistic>>(), facts<Srn<Relu>>()};
constexpr int64_t kCells = sizeof(kFacts) / sizeof(Facts);

// Cells and inputs, so that products of the two are numbers: arrays of a net
// without sequences have no elements, whatever they say.
constexpr int64_t kMost = int64_t(1) << 24;

// Arrays of a call, with their own axes: those of the nets are in front.
struct Array {
  const char* name;
  ffi::AnyBuffer buffer;
  Dims own;
  bool made = false;  // a result, which has the axes of all nets
};

inline std::string written(const Dims& dims) {
  std::string text = "[";
  for (size_t i = 0; i < dims.size(); ++i)
    text += (i ? "," : "") + std::to_string(dims[i]);
  return text + "]";
}

inline std::string written(ffi::DataType type, const Dims& dims) {
  const std::string other = "type " + std::to_string(int(type)) + " ";
  const std::string name = type == ffi::F32   ? "float32"
                           : type == ffi::F64 ? "float64"
                           : type == ffi::S32 ? "int32"
                                              : other;
  return name + written(dims);
}

inline Dims dims_of(const ffi::AnyBuffer& array) {
  const auto dims = array.dimensions();
  return {dims.begin(), dims.end()};
}

inline ffi::Error wrong(const std::string& what) {
  return ffi::Error(ffi::ErrorCode::kInvalidArgument, what);
}

// Whether an array, the first of a call, is of a type that there is code for.
inline ffi::Error fit_float(const char* name, const ffi::AnyBuffer& array) {
  const ffi::DataType type = array.element_type();
  if (type == ffi::F32 || type == ffi::F64) return ffi::Error::Success();
  return wrong(std::string(name) + " is " + written(type, dims_of(array)) +
               ", must be of float32 or float64");
}

// Whether the axes in front of an array's own go with those of the nets: of
// their size or, where it is not written, of size 1; some may be missing.
inline bool goes_with(const Dims& dims, const Array& array, const Dims& nets) {
  const size_t own = array.own.size();
  if (dims.size() < own) return false;
  if (!std::equal(array.own.begin(), array.own.end(), dims.end() - own))
    return false;
  const size_t front = dims.size() - own;
  if (front > nets.size() || (array.made && front < nets.size())) return false;
  for (size_t i = 0; i < front; ++i) {
    const int64_t wanted = nets[nets.size() - front + i];
    if (dims[i] != wanted && (array.made || dims[i] != 1)) return false;
  }
  return true;
}

// The seven that every call is given.
struct Inputs {
  ffi::AnyBuffer w_x, w_h, b, xs, h_0, c_0, lengths;
};

// The sizes that xs, h_0 and the cell say, by which the others are judged.
struct Told {
  ffi::DataType type;
  int64_t steps, batch, inputs, cells, padded;
  Facts cell;
};

// Fills `told`; the error is one where the two cannot say it.
inline ffi::Error told_of(int64_t cell, const Inputs& in, Told* told) {
  if (cell < 0 || cell >= kCells)
    return wrong("cell=" + std::to_string(cell) + " must be one of 0 to " +
                 std::to_string(kCells - 1));
  const ffi::DataType type = in.xs.element_type();
  const Dims xs = dims_of(in.xs), h_0 = dims_of(in.h_0);
  const ffi::Error error = fit_float("xs", in.xs);
  if (error.failure()) return error;
  if (xs.size() < 3)
    return wrong("xs is " + written(type, xs) + ", must be [T,B,I]");
  if (h_0.size() < 2 || h_0.back() < 1 || h_0.back() > kMost)
    return wrong("h_0 is " + written(in.h_0.element_type(), h_0) +
                 ", must be [B,C] with 1 to " + std::to_string(kMost) +
                 " cells");
  if (xs.back() > kMost)
    return wrong("xs is " + written(type, xs) + ", must have " +
                 std::to_string(kMost) + " inputs or fewer");
  const int64_t bytes = type == ffi::F32 ? 4 : 8, lanes = kBytes / bytes;
  const size_t last = xs.size() - 1;
  told->type = type;
  told->steps = xs[last - 2], told->batch = xs[last - 1];
  told->inputs = xs[last], told->cells = h_0.back();
  told->padded = (told->cells + lanes - 1) / lanes * lanes;
  told->cell = kFacts[cell];
  return ffi::Error::Success();
}

// All arrays against what `told` says; `nets` are the axes in front.
inline ffi::Error check(const Told& told, const Dims& nets, const Inputs& in,
                        const std::vector<Array>& others) {
  const int64_t batch = told.batch, cells = told.cells;
  const int64_t rows = told.cell.rows * cells;
  std::vector<Array> all = {
      {"w_x", in.w_x, {rows, told.inputs}},
      {"w_h", in.w_h, {rows, cells}},
      {"b", in.b, {told.cell.biases * cells}},
      {"xs", in.xs, {told.steps, batch, told.inputs}},
      {"h_0", in.h_0, {batch, cells}},
      {"c_0", in.c_0, {batch, cells}},
      {"lengths", in.lengths, {batch}},
  };
  all.insert(all.end(), others.begin(), others.end());
  for (const Array& array : all) {
    const bool whole = array.name == std::string("lengths");
    const ffi::DataType type = whole ? ffi::S32 : told.type;
    const Dims dims = dims_of(array.buffer);
    if (array.buffer.element_type() == type && goes_with(dims, array, nets))
      continue;
    std::string said = std::string(array.name) + " is " +
                       written(array.buffer.element_type(), dims) +
                       ", must be " + written(type, array.own);
    if (!nets.empty()) said += " for nets " + written(nets);
    return wrong(said);
  }
  return ffi::Error::Success();
}

// `inside` and `gates` as the call keeps them: the last axis of the gates is 0
// where the backward pass computes them again.
inline std::vector<Array> kept(const Told& told, ffi::AnyBuffer inside,
                               ffi::AnyBuffer gates, bool made) {
  const auto dims = gates.dimensions();
  const bool some = told.cell.gates && dims.size() && dims.back();
  return {{"inside", inside,
           {told.steps, told.batch, told.cell.inside ? told.padded : 0}, made},
          {"gates", gates,
           {told.steps, told.batch, 4, some ? told.padded : 0}, made}};
}

// The axes in front of an array's own; none where it has not even those.
inline Dims nets_of(const ffi::AnyBuffer& array, size_t own) {
  Dims dims = dims_of(array);
  dims.resize(dims.size() - std::min(own, dims.size()));
  return dims;
}

// Runs `call`; of what it throws nothing gets out but an error.
template <class Call>
ffi::Error guarded(const char* name, const Call& call) {
  try {
    const ffi::Error error = call();
    if (error.success()) return error;
    return ffi::Error(*error.errc(), std::string(name) + ": " + error.message());
  } catch (const std::bad_alloc&) {
    return ffi::Error(ffi::ErrorCode::kResourceExhausted,
                      std::string(name) + ": not enough memory");
  } catch (const std::exception& error) {
    return ffi::Error(ffi::ErrorCode::kInternal,
                      std::string(name) + ": " + error.what());
  }
}

}  // namespace lstm_jax

#endif  // LSTM_JAX_NN_NATIVE_CHECKS_H_
