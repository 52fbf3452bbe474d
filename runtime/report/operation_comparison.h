// Compares two executors of one program, operation by operation. Each operation gets the same inputs on both,
// so errors neither accumulate nor hide behind others.
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

// The device's rounding errors.
struct ErrorModel {
  double storage_roundoff = 0x1p-24;     // unit roundoff of DType::kCompute: 2^-24 in float, 2^-8 in bf16
  double arithmetic_roundoff = 0x1p-24;  // of the sums
};

// For kFp32 or kBf16.
ErrorModel error_model(ComputePrecision precision);

// One output of one operation. Its bound, for each element, is
//
//   roundings * storage_roundoff * result + 8 sqrt(terms) * amplification * arithmetic_roundoff * magnitude
//
// The operation's ErrorGrowth gives the first three numbers (kernels/error_growth.h). `result` is the
// output's largest element, and `magnitude` the largest sum of its terms' absolute values, if that is known
// to be much larger: the gradient of a bias before a normalization cancels to almost nothing.
struct OutputError {
  size_t operation = 0;  // index in the program
  std::string name;      // of the operation
  std::string kind;
  std::string output;  // the operand: "y", "dweight"
  double error = 0;    // largest |actual - expected|, relative to the largest |expected|
  double bound = 0;    // relative to the same

  // error / bound; NaN if a value is NaN.
  double part_of_bound() const;
  bool is_within_bound() const { return part_of_bound() <= 1; }
};

// Runs the operation on both executors. Its inputs are the reference's values as the device stores them:
// values rounded for the device are written back to the reference.
std::vector<OutputError> compare_operation(size_t operation, Executor& reference, Executor& device,
                                           const ErrorModel& model);

// The progress of a comparison, before its next operation.
struct ComparisonProgress {
  size_t done = 0, total = 0;          // operations
  const Operation* next = nullptr;     // never null
  std::span<const OutputError> found;  // so far
};
// Returns whether to continue.
using ComparisonWatch = std::function<bool(const ComparisonProgress&)>;

// Compares the operations of these phases in order, while the reference executes the whole step. If `watch`
// returns false, returns the results so far.
std::vector<OutputError> compare_operations(std::initializer_list<Phase> phases, Executor& reference,
                                            Executor& device, const ErrorModel& model,
                                            const ComparisonWatch& watch = {});

}  // namespace ddpm
