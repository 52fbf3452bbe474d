// What distinguishes two convolutions, or two matrix products, for the library that computes them: what
// plans are made for and caches are keyed by.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/conv2d.h"

namespace ddpm {

enum class ProductType : uint8_t { kFloat, kBfloat16 };

constexpr int element_bytes(ProductType type) { return type == ProductType::kFloat ? 4 : 2; }

enum class ConvolutionDirection : uint8_t {
  kForward,         // y from x, w
  kBackwardData,    // x from y, w
  kBackwardWeight,  // w from x, y
};

// All tensors are of one type; sums are float either way, and rounded once. The filter must be whole
// (shape.weight_channels == shape.c).
struct ConvolutionProblem {
  Conv2dShape shape;
  ConvolutionDirection direction = ConvolutionDirection::kForward;
  ProductType type = ProductType::kBfloat16;
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

// Where a matrix, or a batch of them, lies within a tensor: row-major, in elements.
struct MatrixOperand {
  int64_t leading_dimension = 0;  // from one row to the next
  Transpose transpose = Transpose::kNo;
  int64_t begin = 0;         // of the first matrix
  int64_t batch_stride = 0;  // from one matrix to the next

  bool operator==(const MatrixOperand&) const = default;
};

// d = alpha op(a) op(b) + beta c + bias for each of `batch` quadruples of matrices: op(a) (m, k), op(b)
// (k, n), c and d (m, n), bias (n) or none. All is summed in float and rounded once.
struct MatrixProblem {
  int64_t m = 0, n = 0, k = 0;
  MatrixOperand a, b, d;  // d, and c that lies like it, is not transposed
  int64_t batch = 1;
  ProductType input = ProductType::kBfloat16;
  ProductType output = ProductType::kBfloat16;
  float alpha = 1;
  float beta = 0;
  bool bias = false;

  bool operator==(const MatrixProblem&) const = default;
};

// What is left to do where the bias, and what else is added, has been put into the output before.
ConvolutionProblem without_bias(const ConvolutionProblem& problem);
MatrixProblem without_bias(const MatrixProblem& problem);

// "bf16 4096x256 * 256x512 -> fp32 4096x512 batch 8 ...", strides and begins included.
std::string to_string(const MatrixProblem& problem);

// Which of a library's ways to compute are acceptable.
struct PlanLimits {
  int64_t workspace_bytes = int64_t{128} << 20;
  // Those that may differ in the last bits from run to run (floating-point atomics).
  enum class Nondeterminism : uint8_t { kRefused, kAllowed } nondeterminism = Nondeterminism::kRefused;
};

// "workspace 134217728 deterministic"
std::string to_string(const PlanLimits& limits);

// All that a program asks of the libraries, each once, and the scratch memory for the steps between them.
// Problems with a bias are wishes: each stands beside one without, that does as well after a kernel of ours.
struct ProductProblems {
  std::vector<ConvolutionProblem> convolutions;
  std::vector<MatrixProblem> matrices;
  size_t scratch_bytes = 0;
};

}  // namespace ddpm
