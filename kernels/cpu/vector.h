// The two inner loops of the fully connected layer: dot product and scaled addition of contiguous vectors.
// The compiler vectorizes both without reordering an addition.
#pragma once

#include <cstdint>

namespace ddpm::cpu {

// sum of a[i] b[i]. Sixteen partial sums, added pairwise at the end: a fixed order on every machine that
// fills the vector registers, and a rounding error that grows with count/16 instead of count.
inline float dot(int64_t count, const float* a, const float* b) {
  constexpr int kLanes = 16;
  float lane[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int l = 0; l < kLanes; ++l) lane[l] += a[i + l] * b[i + l];
  for (int l = 0; i < count; ++i, ++l) lane[l] += a[i] * b[i];
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int l = 0; l < width; ++l) lane[l] += lane[l + width];
  return lane[0];
}

// y[i] += scale x[i]; x and y do not overlap.
inline void add_scaled(int64_t count, float scale, const float* __restrict x, float* __restrict y) {
  for (int64_t i = 0; i < count; ++i) y[i] += scale * x[i];
}

}  // namespace ddpm::cpu
