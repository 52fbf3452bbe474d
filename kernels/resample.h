// Resampling by 2 without weights, scaling of images, numbers as one-hot rows: the small linear operations
// of residual blocks that resample, of scaled sums, centred inputs and classes. Implementation:
// kernels/reference/resample.cpp.
#pragma once

#include <cstdint>

#include "kernels/cost.h"

namespace ddpm {

// Between a smaller image (N,H,W,C) and a larger one (N,2H,2W,C):
//   nearest upsampling:  large[n,i,j,c] = scale * small[n,i/2,j/2,c] + residual[n,i,j,c]
//   sum pooling:         small[n,i,j,c] = scale * (sum of the 2x2 pixels of large) + residual[n,i,j,c]
// Each is the other's gradient at the same scale. Average pooling is sum pooling with scale 1/4.
struct ResampleShape {
  int n = 1, h = 1, w = 1, c = 1;  // of the smaller image
  double scale = 1;

  int64_t small_elements() const { return int64_t{n} * h * w * c; }
  int64_t large_elements() const { return 4 * small_elements(); }
  bool operator==(const ResampleShape&) const = default;
};

// residual is null or shaped as y, and may be y itself.
template <typename T>
struct ResampleArgs {
  const T* x;
  const T* residual;
  T* y;
};

inline Cost cost(const ResampleShape& s, int element_bytes) {
  return {double(s.large_elements()), element_bytes * 5.0 * double(s.small_elements())};
}

// y[n,e] = (scale * x[n,e] + offset) / divisor[n], over the `elements` of each of n images. Without the
// offset it is its own gradient by x; the divisor is given and has none.
struct RescaleShape {
  int n = 1;
  int64_t elements = 1;
  double scale = 1;
  double offset = 0;

  bool operator==(const RescaleShape&) const = default;
};

// divisor (N), null: 1. y may be x. M is the type of times, T of activations.
template <typename T, typename M = T>
struct RescaleArgs {
  const T* x;
  const M* divisor;
  T* y;
};

inline Cost cost(const RescaleShape& s, int element_bytes) {
  const double elements = double(s.n) * double(s.elements);
  return {2 * elements, 2.0 * element_bytes * elements};
}

// y[n,k] = 1 where k is index[n], else 0: the input that makes a linear layer a table of embeddings.
// index (N) holds whole numbers of [0, classes); any other leaves the row zero.
struct OneHotShape {
  int n = 1;
  int classes = 1;

  bool operator==(const OneHotShape&) const = default;
};

template <typename T, typename M = T>
struct OneHotArgs {
  const M* index;
  T* y;
};

inline Cost cost(const OneHotShape& s, int element_bytes) {
  return {0, double(element_bytes) * s.n * s.classes};
}

}  // namespace ddpm
