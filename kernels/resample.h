// Small linear operations: resampling by 2, scaling of images, and class indices as one-hot rows. Residual
// blocks that resample, scaled sums, centered inputs and class embeddings use them.
#pragma once

#include <cstdint>

#include "kernels/operation.h"

namespace ddpm {

// Between a smaller image (N,H,W,C) and a larger one (N,2H,2W,C):
//   nearest upsampling:  large[n,i,j,c] = scale * small[n,i/2,j/2,c] + residual[n,i,j,c]
//   sum pooling:         small[n,i,j,c] = scale * (sum of the 2x2 pixels of large) + residual[n,i,j,c]
// Each is the other's gradient at the same scale. Average pooling is sum pooling with scale 1/4.
struct ResampleParams {
  int n = 1, h = 1, w = 1, c = 1;  // of the smaller image
  double scale = 1;

  int64_t small_elements() const { return int64_t{n} * h * w * c; }
  int64_t large_elements() const { return 4 * small_elements(); }
  bool operator==(const ResampleParams&) const = default;
};

// residual is null or shaped as y, and may be y itself.
template <typename T>
struct ResampleArgs {
  const T* x;
  const T* residual;
  T* y;
};

inline Cost cost(const ResampleParams& s, int element_bytes) {
  return {double(s.large_elements()), element_bytes * 5.0 * double(s.small_elements())};
}

// y[n,e] = (scale * x[n,e] + offset) / divisor[n], over the `elements` of each of n images. Without the
// offset it is its own gradient by x; the divisor is given and has none.
struct RescaleParams {
  int n = 1;
  int64_t elements = 1;
  double scale = 1;
  double offset = 0;

  bool operator==(const RescaleParams&) const = default;
};

// divisor (N), null: 1. y may be x. M is the type of times, T of activations.
template <typename T, typename M = T>
struct RescaleArgs {
  const T* x;
  const M* divisor;
  T* y;
};

inline Cost cost(const RescaleParams& s, int element_bytes) {
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

namespace reference {
template <typename T>
void upsample_nearest(const ResampleParams& params, const ResampleArgs<T>& args);
template <typename T>
void sum_pool(const ResampleParams& params, const ResampleArgs<T>& args);
template <typename T>
void rescale(const RescaleParams& params, const RescaleArgs<T>& args);
template <typename T>
void one_hot(const OneHotShape& shape, const OneHotArgs<T>& args);
}  // namespace reference

// resample.cu. Any number of channels.
namespace cuda {
template <typename T>
void upsample_nearest(const ResampleParams& params, const ResampleArgs<T>& args, StreamView stream);
template <typename T>
void sum_pool(const ResampleParams& params, const ResampleArgs<T>& args, StreamView stream);
template <typename T>
void rescale(const RescaleParams& params, const RescaleArgs<T, float>& args, StreamView stream);
template <typename T>
void one_hot(const OneHotShape& shape, const OneHotArgs<T, float>& args, StreamView stream);
}  // namespace cuda

struct UpsampleNearest {
  ResampleParams params;
  BufferId x, residual = kNoBuffer, y = kNoBuffer;

  static constexpr const char* kKind = "upsample_nearest";
  template <typename Memory>
  auto args(Memory&& m) const {
    return ResampleArgs<ComputeType<Memory>>{
        .x = m.read("x", x), .residual = m.read("residual", residual), .y = m.write("y", y, residual)};
  }
  Cost cost(int element_bytes) const { return ddpm::cost(params, element_bytes); }
  ErrorGrowth error_growth(BufferId /*result*/) const { return {.terms = 2}; }
  template <typename T>
  void compute(const ResampleArgs<T>& args) const {
    reference::upsample_nearest<T>(params, args);
  }
  template <typename T>
  void launch(const ResampleArgs<T>& args, const LaunchOn& on) const {
    cuda::upsample_nearest<T>(params, args, on.stream);
  }
};

struct SumPool {
  ResampleParams params;
  BufferId x, residual = kNoBuffer, y = kNoBuffer;

  static constexpr const char* kKind = "sum_pool";
  template <typename Memory>
  auto args(Memory&& m) const {
    return ResampleArgs<ComputeType<Memory>>{
        .x = m.read("x", x), .residual = m.read("residual", residual), .y = m.write("y", y, residual)};
  }
  Cost cost(int element_bytes) const { return ddpm::cost(params, element_bytes); }
  ErrorGrowth error_growth(BufferId /*result*/) const { return {.terms = 5}; }
  template <typename T>
  void compute(const ResampleArgs<T>& args) const {
    reference::sum_pool<T>(params, args);
  }
  template <typename T>
  void launch(const ResampleArgs<T>& args, const LaunchOn& on) const {
    cuda::sum_pool<T>(params, args, on.stream);
  }
};

struct Rescale {
  RescaleParams params;
  BufferId x, divisor = kNoBuffer, y = kNoBuffer;

  static constexpr const char* kKind = "rescale";
  template <typename Memory>
  auto args(Memory&& m) const {
    return RescaleArgs<ComputeType<Memory>, MasterType<Memory>>{
        .x = m.read("x", x), .divisor = m.read("divisor", divisor), .y = m.write("y", y, x)};
  }
  Cost cost(int element_bytes) const { return ddpm::cost(params, element_bytes); }
  ErrorGrowth error_growth(BufferId /*result*/) const { return {.terms = 3}; }
  template <typename T>
  void compute(const RescaleArgs<T>& args) const {
    reference::rescale<T>(params, args);
  }
  template <typename T>
  void launch(const RescaleArgs<T, float>& args, const LaunchOn& on) const {
    cuda::rescale<T>(params, args, on.stream);
  }
};

struct OneHot {
  OneHotShape shape;
  BufferId index, y = kNoBuffer;

  static constexpr const char* kKind = "one_hot";
  template <typename Memory>
  auto args(Memory&& m) const {
    return OneHotArgs<ComputeType<Memory>, MasterType<Memory>>{.index = m.read("index", index),
                                                               .y = m.write("y", y)};
  }
  Cost cost(int element_bytes) const { return ddpm::cost(shape, element_bytes); }
  ErrorGrowth error_growth(BufferId /*result*/) const { return kExact; }
  template <typename T>
  void compute(const OneHotArgs<T>& args) const {
    reference::one_hot<T>(shape, args);
  }
  template <typename T>
  void launch(const OneHotArgs<T, float>& args, const LaunchOn& on) const {
    cuda::one_hot<T>(shape, args, on.stream);
  }
};

}  // namespace ddpm
