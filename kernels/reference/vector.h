// The two inner loops of every product here: the dot product and the scaled addition of contiguous
// vectors. Both are written so that the compiler vectorises them without reordering a single addition.
#pragma once

#include <cstdint>

namespace ddpm::reference {

// sum of a[i] b[i]. Sixteen partial sums, added pairwise at the end: one fixed order on every machine, vector
// registers kept full, and a rounding error that grows with count/16 instead of count.
template <typename T>
T dot(int64_t count, const T* a, const T* b) {
  constexpr int kLanes = 16;
  T lane[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int l = 0; l < kLanes; ++l) lane[l] += a[i + l] * b[i + l];
  for (int l = 0; i < count; ++i, ++l) lane[l] += a[i] * b[i];
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int l = 0; l < width; ++l) lane[l] += lane[l + width];
  return lane[0];
}

// y[i] += scale x[i]; x and y do not overlap.
template <typename T>
void add_scaled(int64_t count, T scale, const T* __restrict x, T* __restrict y) {
  for (int64_t i = 0; i < count; ++i) y[i] += scale * x[i];
}

}  // namespace ddpm::reference
