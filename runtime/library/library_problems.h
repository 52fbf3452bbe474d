// A problem: all that distinguishes one convolution, or one GEMM, from another for the library that computes
// it. Plans are made for problems, and caches are keyed by them.
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

// All tensors have one type; sums are float and rounded once. The whole filter is used
// (shape.weight_channels == shape.c).
struct ConvolutionProblem {
  Conv2dShape shape;
  ConvolutionDirection direction = ConvolutionDirection::kForward;
  ElementType type = ElementType::kBfloat16;
  bool accumulate = false;  // add to the output's old values
  // Forward without accumulate: y = convolution + bias (K) + residual, which is shaped like y but is not y.
  bool bias = false;
  bool residual = false;  // only with a bias

  bool operator==(const ConvolutionProblem&) const = default;
};

// "backward_data bf16 128x32x32x256 -> 16x16x256 3x3 stride 2 pad 0,1 accumulate": for
// errors, tables and cache keys.
std::string to_string(const ConvolutionProblem& problem);

enum class Transpose : uint8_t { kNo, kYes };

// A row-major matrix, or a batch of them, within a tensor; in elements.
struct GemmOperand {
  int64_t leading_dimension = 0;  // from one row to the next
  Transpose transpose = Transpose::kNo;
  int64_t begin = 0;         // offset of the first matrix
  int64_t batch_stride = 0;  // from one matrix to the next

  bool operator==(const GemmOperand&) const = default;
};

// d = alpha op(a) op(b) + beta c + bias for each matrix of a batch: op(a) (m, k), op(b) (k, n), c and d (m,
// n), bias (n) or none. Sums are float and rounded once.
struct GemmProblem {
  int64_t m = 0, n = 0, k = 0;
  GemmOperand a, b, d;  // d is not transposed; c has d's layout
  int64_t batch = 1;
  ElementType input = ElementType::kBfloat16;
  ElementType output = ElementType::kBfloat16;
  float alpha = 1;
  float beta = 0;
  bool bias = false;

  bool operator==(const GemmProblem&) const = default;
};

// The problem that remains after bias and residual have been written to the output: it accumulates.
ConvolutionProblem without_bias(const ConvolutionProblem& problem);
GemmProblem without_bias(const GemmProblem& problem);

// "bf16 4096x256 * 256x512 -> fp32 4096x512 batch 8 ...", strides and begins included.
std::string to_string(const GemmProblem& problem);

// Limits for a library's plans.
struct PlanLimits {
  int64_t workspace_bytes = int64_t{128} << 20;
  // Plans whose last bits may differ from run to run (floating-point atomics).
  enum class Nondeterminism : uint8_t { kRefused, kAllowed } nondeterminism = Nondeterminism::kRefused;
};

// "workspace 134217728 deterministic"
std::string to_string(const PlanLimits& limits);

// A program's library problems, without duplicates. A problem with a bias is an optional fusion; its unfused
// counterpart (without_bias) must be listed too.
struct LibraryProblems {
  std::vector<ConvolutionProblem> convolutions;
  std::vector<GemmProblem> gemms;
};

}  // namespace ddpm
