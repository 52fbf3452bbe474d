// What distinguishes two convolutions, or two GEMMs, for the library that computes them: plans are made for it, and
// caches are keyed by it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "device/element_type.h"
#include "kernels/conv2d.h"

namespace ddpm {

enum class ConvolutionDirection : uint8_t {
  kForward,         // y from x, w
  kBackwardData,    // x from y, w
  kBackwardWeight,  // w from x, y
};

// All tensors have one type; sums are float, and rounded once. The filter must be whole
// (shape.weight_channels == shape.c).
struct ConvolutionProblem {
  Conv2dShape shape;
  ConvolutionDirection direction = ConvolutionDirection::kForward;
  ElementType type = ElementType::kBfloat16;
  bool accumulate = false;  // the result is added to what the output holds
  // Forward, without accumulation: y = the convolution + bias (K) + a residual shaped like y, which is not y.
  bool bias = false;
  bool residual = false;  // only with a bias

  bool operator==(const ConvolutionProblem&) const = default;
};

// "backward_data bf16 128x32x32x256 -> 16x16x256 3x3 stride 2 pad 0,1 accumulate": for errors, caches and
// tables.
std::string to_string(const ConvolutionProblem& problem);

enum class Transpose : uint8_t { kNo, kYes };

// Where a matrix, or a batch of them, is within a tensor: row-major, in elements.
struct GemmOperand {
  int64_t leading_dimension = 0;  // from one row to the next
  Transpose transpose = Transpose::kNo;
  int64_t begin = 0;         // of the first matrix
  int64_t batch_stride = 0;  // from one matrix to the next

  bool operator==(const GemmOperand&) const = default;
};

// d = alpha op(a) op(b) + beta c + bias for each of `batch` quadruples of matrices: op(a) (m, k), op(b)
// (k, n), c and d (m, n), bias (n) or none. Sums are float and rounded once.
struct GemmProblem {
  int64_t m = 0, n = 0, k = 0;
  GemmOperand a, b, d;  // d, and c, which has its layout, are not transposed
  int64_t batch = 1;
  ElementType input = ElementType::kBfloat16;
  ElementType output = ElementType::kBfloat16;
  float alpha = 1;
  float beta = 0;
  bool bias = false;

  bool operator==(const GemmProblem&) const = default;
};

// What is left to do once the bias, and what else is added, has been put into the output.
ConvolutionProblem without_bias(const ConvolutionProblem& problem);
GemmProblem without_bias(const GemmProblem& problem);

// "bf16 4096x256 * 256x512 -> fp32 4096x512 batch 8 ...", strides and begins included.
std::string to_string(const GemmProblem& problem);

// Which of a library's ways to compute are acceptable.
struct PlanLimits {
  int64_t workspace_bytes = int64_t{128} << 20;
  // Plans that may differ in the last bits from run to run (floating-point atomics).
  enum class Nondeterminism : uint8_t { kRefused, kAllowed } nondeterminism = Nondeterminism::kRefused;
};

// "workspace 134217728 deterministic"
std::string to_string(const PlanLimits& limits);

// All that a program asks of the library, each once. A problem with a bias is an optional fusion; its unfused
// counterpart is always listed too.
struct LibraryProblems {
  std::vector<ConvolutionProblem> convolutions;
  std::vector<GemmProblem> gemms;
};

}  // namespace ddpm
