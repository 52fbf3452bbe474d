// How many threads share a row of the softmax.
#pragma once

#include <cstdint>
#include <iterator>

namespace ddpm::cuda {

// A row is kept in the registers of `lanes` threads, `vectors` of 16 bytes each.
struct SoftmaxPlan {
  int lanes = 32;     // below 32: several rows per warp; 32: one warp per row; above: one block per row
  int vectors = 1;    // per thread; at most 32 values, which still fit in registers
  int threads = 128;  // per block

  constexpr int rows_per_block() const { return threads / lanes; }
  // vector_width: elements in 16 bytes.
  constexpr int longest_row(int vector_width) const { return lanes * vectors * vector_width; }
};

// The instances of the kernels, each with the row length that it is meant for.
inline constexpr SoftmaxPlan kSoftmaxPlan[] = {
    {.lanes = 4, .vectors = 1, .threads = 128},    // 16: attention at 4x4
    {.lanes = 16, .vectors = 1, .threads = 128},   // 64: at 8x8
    {.lanes = 32, .vectors = 1, .threads = 128},   // 256 in bf16: at 16x16
    {.lanes = 32, .vectors = 2, .threads = 128},   // 256 in float
    {.lanes = 32, .vectors = 4, .threads = 128},   // 1024 in bf16: at 32x32
    {.lanes = 256, .vectors = 1, .threads = 256},  // 1024 in float
    {.lanes = 256, .vectors = 2, .threads = 256},  // 4096 in bf16: at 64x64
    {.lanes = 256, .vectors = 4, .threads = 256},  // 4096 in float
};
inline constexpr int kSoftmaxPlans = static_cast<int>(std::size(kSoftmaxPlan));

constexpr int longest_softmax_row(int vector_width) {
  return kSoftmaxPlan[kSoftmaxPlans - 1].longest_row(vector_width);
}

// Index of the first, and so narrowest, plan that holds a row of at most longest_softmax_row elements.
constexpr int softmax_plan(int length, int vector_width) {
  int plan = 0;
  while (kSoftmaxPlan[plan].longest_row(vector_width) < length) ++plan;
  return plan;
}

}  // namespace ddpm::cuda
