// Two executors of one program, operation by operation: each operation is given the same inputs on both
// and its outputs are compared, so that errors neither compound nor hide behind others.
#pragma once

#include <cstddef>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "runtime/device.h"
#include "runtime/executor.h"

namespace ddpm {

// How far the device's numbers may lie from exact ones.
struct ErrorModel {
  double storage_roundoff = 0x1p-24;     // unit roundoff of DType::kCompute: 2^-24 in float, 2^-8 in bf16
  double arithmetic_roundoff = 0x1p-24;  // of the sums
};

// Of kFp32 or kBf16.
ErrorModel error_model(ComputePrecision precision);

// One output of one operation. Its bound is, for each element,
//   roundings * storage_roundoff * result + 8 sqrt(terms) * amplification * arithmetic_roundoff * magnitude,
// where a sum of `terms` errs by about sqrt(terms) units (Higham & Mary 2019, "A new approach to
// probabilistic rounding error analysis") and the largest of very many such errors by some times as much;
// `roundings` counts how often a value is stored on its way, `amplification` is what the operation's own
// steepness makes of an error, `result` is the output's largest element and `magnitude` the largest sum of
// its terms' absolute values, where that is known to be much more: the gradient of a bias before a
// normalisation cancels to almost nothing.
struct OutputError {
  size_t operation = 0;  // index in the program
  std::string name;      // the operation's
  std::string kind;
  std::string output;  // the operand: "y", "dweight"
  double error = 0;    // largest |actual - expected|, relative to the largest |expected|
  double bound = 0;    // relative to the same

  // How much of the bound is taken; NaN where a value is.
  double part_of_bound() const;
  bool is_within_bound() const { return part_of_bound() <= 1; }
};

// Runs the operation on both. Its inputs are the reference's values as the device stores them: what is
// rounded on the way to the device is written back to the reference.
std::vector<OutputError> compare_operation(size_t operation, Executor& reference, Executor& device,
                                           const ErrorModel& model);

// How far a comparison is, before its next operation.
struct ComparisonProgress {
  size_t done = 0, total = 0;          // operations
  const Operation* next = nullptr;     // never null
  std::span<const OutputError> found;  // up to now
};
// Says whether to go on.
using ComparisonWatch = std::function<bool(const ComparisonProgress&)>;

// Compares the operations of these phases in order; the reference goes through the whole step. Where `watch`
// says no, what was found up to there.
std::vector<OutputError> compare_operations(std::initializer_list<Phase> phases, Executor& reference,
                                            Executor& device, const ErrorModel& model,
                                            const ComparisonWatch& watch = {});

}  // namespace ddpm
