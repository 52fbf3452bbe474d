// The 2-D convolution, and the convolution after nearest-neighbor upsampling, which can be folded to a 4x4
// filter on the smaller image (UpsampleConv2dShape::folded). Implementations: plain loops in
// kernels/reference/conv2d.cpp; oneDNN in runtime/cpu/onednn_ops.cpp; cuDNN and cuBLASLt in runtime/library
// (lower_convolution.cpp, lower_upsample.cpp).
#pragma once

#include <cstdint>

#include "kernels/operation.h"

namespace ddpm {

// Cross-correlation, as deep learning means the word, with zero padding:
//   y[n,p,q,k] = bias[k] + residual[n,p,q,k]
//              + sum over r,s,c of x[n, p stride + r - pad_before, q stride + s - pad_before, c] w[k,r,s,c]
// x (N,H,W,C), weight w (K,R,R,weight_channels), y (N,P,Q,K).
struct Conv2dShape {
  int n = 1, h = 1, w = 1, c = 1;
  int k = 1;
  int filter = 3;  // R: 3 or 1 in these networks; square
  int stride = 1;
  int pad_before = 1;  // rows above and columns to the left
  int pad_after = 1;   // rows below and columns to the right; (0, 1) with stride 2 is DDPM's downsampling
  // The filter may be wider than the input: channels [weight_channel_begin, weight_channel_begin + c) of
  // weight_channels are used. So a 1x1 convolution over a concatenation [a, b] is two convolutions, over a
  // and over b, and the concatenation is never written.
  int weight_channels = 1;
  int weight_channel_begin = 0;

  int p() const { return (h + pad_before + pad_after - filter) / stride + 1; }
  int q() const { return (w + pad_before + pad_after - filter) / stride + 1; }
  int64_t x_elements() const { return int64_t{n} * h * w * c; }
  int64_t y_elements() const { return int64_t{n} * p() * q() * k; }
  int64_t weight_elements() const { return int64_t{k} * filter * filter * weight_channels; }
  bool operator==(const Conv2dShape&) const = default;
};

// T is the type of activations and of the weights computed with, M of biases and of parameters' gradients.
// Bias and residual may be null; residual may be y itself (accumulation).
template <typename T, typename M = T>
struct Conv2dArgs {
  const T* x;
  const T* weight;
  const M* bias;
  const T* residual;
  T* y;
};

// dx = transposed convolution of dy with weight, + residual (null or (N,H,W,C); may be dx itself).
template <typename T>
struct Conv2dBackwardDataArgs {
  const T* dy;
  const T* weight;
  const T* residual;
  T* dx;
};

// dweight += the used channels' gradient; dbias and also_dbias += sum of dy over n,p,q (null: none). The
// latter is the gradient of another layer's bias that was added to the same y.
template <typename T, typename M = T>
struct Conv2dBackwardWeightArgs {
  const T* x;
  const T* dy;
  M* dweight;
  M* dbias;
  M* also_dbias = nullptr;  // only with dbias
};

// The same for each of the three directions. Multiply-adds on padding are counted, as libraries do.
inline Cost cost(const Conv2dShape& s, int element_bytes) {
  const double weight = double(s.k) * s.filter * s.filter * s.c;
  return {2.0 * s.n * s.p() * s.q() * weight,
          element_bytes * (double(s.x_elements()) + double(s.y_elements()) + weight)};
}

// Nearest-neighbor upsampling by 2, then a 3x3 convolution with padding 1:
// x (N,H,W,C) -> y (N,2H,2W,K), weight (K,3,3,C). The upsampled image is never stored.
struct UpsampleConv2dShape {
  int n = 1, h = 1, w = 1, c = 1;
  int k = 1;

  // The convolution that acts on the upsampled image.
  Conv2dShape upsampled() const {
    return {.n = n, .h = 2 * h, .w = 2 * w, .c = c, .k = k, .weight_channels = c};
  }
  // The same map as the data gradient of a 4x4 convolution of stride 2, with 2.25 times fewer multiply-adds:
  // our y takes the place of its x. Each 2x2 phase of the larger image sees the sums of those of the nine
  // taps that fall on one smaller pixel:
  //   weight4[c,a,b,k] = sum over r,s of A[a,r] A[b,s] weight[k,r,s,c]
  //   A = [[0,0,1], [0,1,1], [1,1,0], [1,0,0]]
  // weight4 (C,4,4,K) is the filter of folded(), whose input has K channels and whose output has C.
  Conv2dShape folded() const {
    return {.n = n, .h = 2 * h, .w = 2 * w, .c = k, .k = c, .filter = 4, .stride = 2, .weight_channels = k};
  }
  bool operator==(const UpsampleConv2dShape&) const = default;
};

inline Cost cost(const UpsampleConv2dShape& s, int element_bytes) {
  Cost full = cost(s.upsampled(), element_bytes);
  full.bytes -= element_bytes * 0.75 * double(s.upsampled().x_elements());
  return full;
}

namespace reference {
template <typename T>
void conv2d(const Conv2dShape& shape, const Conv2dArgs<T>& args);
template <typename T>
void conv2d_backward_data(const Conv2dShape& shape, const Conv2dBackwardDataArgs<T>& args);
template <typename T>
void conv2d_backward_weight(const Conv2dShape& shape, const Conv2dBackwardWeightArgs<T>& args);
template <typename T>
void upsample_conv2d(const UpsampleConv2dShape& shape, const Conv2dArgs<T>& args);
template <typename T>
void upsample_conv2d_backward_data(const UpsampleConv2dShape& shape, const Conv2dBackwardDataArgs<T>& args);
template <typename T>
void upsample_conv2d_backward_weight(const UpsampleConv2dShape& shape,
                                     const Conv2dBackwardWeightArgs<T>& args);
}  // namespace reference

struct Conv2d {
  Conv2dShape shape;
  BufferId x, weight, bias = kNoBuffer, residual = kNoBuffer, y = kNoBuffer;

  // A library convolution that adds bias and residual itself need not support a residual in place of y.
  // Whether such a kernel runs must not depend on where buffers are, because it rounds differently.
  bool may_be_fused() const { return shape.filter > 1 && bias != kNoBuffer; }

  static constexpr const char* kKind = "conv2d";
  template <typename Memory>
  auto args(Memory&& m) const {
    return Conv2dArgs<ComputeType<Memory>, MasterType<Memory>>{
        .x = m.read("x", x),
        .weight = m.read("weight", weight),
        .bias = m.read("bias", bias),
        .residual = m.read("residual", residual),
        .y = m.write("y", y, may_be_fused() ? kNoBuffer : residual)};
  }
  Cost cost(int element_bytes) const { return ddpm::cost(shape, element_bytes); }
  ErrorGrowth error_growth(BufferId /*result*/) const {
    return growth_of_sum(double(shape.filter) * shape.filter * shape.c, kLayerRoundings);
  }
  template <typename T>
  void compute(const Conv2dArgs<T>& args) const {
    reference::conv2d<T>(shape, args);
  }
};

struct Conv2dBackwardData {
  Conv2dShape shape;
  BufferId dy, weight, residual = kNoBuffer, dx = kNoBuffer;

  static constexpr const char* kKind = "conv2d_backward_data";
  template <typename Memory>
  auto args(Memory&& m) const {
    return Conv2dBackwardDataArgs<ComputeType<Memory>>{.dy = m.read("dy", dy),
                                                       .weight = m.read("weight", weight),
                                                       .residual = m.read("residual", residual),
                                                       .dx = m.write("dx", dx, residual)};
  }
  Cost cost(int element_bytes) const { return ddpm::cost(shape, element_bytes); }
  ErrorGrowth error_growth(BufferId /*result*/) const {
    return growth_of_sum(double(shape.filter) * shape.filter * shape.k, kLayerRoundings);
  }
  template <typename T>
  void compute(const Conv2dBackwardDataArgs<T>& args) const {
    reference::conv2d_backward_data<T>(shape, args);
  }
};

struct Conv2dBackwardWeight {
  Conv2dShape shape;
  BufferId x, dy, dweight, dbias = kNoBuffer, also_dbias = kNoBuffer;

  static constexpr const char* kKind = "conv2d_backward_weight";
  template <typename Memory>
  auto args(Memory&& m) const {
    return Conv2dBackwardWeightArgs<ComputeType<Memory>, MasterType<Memory>>{
        .x = m.read("x", x),
        .dy = m.read("dy", dy),
        .dweight = m.update("dweight", dweight),
        .dbias = m.update("dbias", dbias),
        .also_dbias = m.update("also_dbias", also_dbias)};
  }
  Cost cost(int element_bytes) const { return ddpm::cost(shape, element_bytes); }
  ErrorGrowth error_growth(BufferId result) const {
    return growth_of_sum(double(shape.n) * shape.p() * shape.q(), result == dweight ? kLayerRoundings : 0);
  }
  template <typename T>
  void compute(const Conv2dBackwardWeightArgs<T>& args) const {
    reference::conv2d_backward_weight<T>(shape, args);
  }
};

struct UpsampleConv2d {
  UpsampleConv2dShape shape;
  BufferId x, weight, bias = kNoBuffer, y = kNoBuffer;

  static constexpr const char* kKind = "upsample_conv2d";
  template <typename Memory>
  auto args(Memory&& m) const {
    return Conv2dArgs<ComputeType<Memory>, MasterType<Memory>>{.x = m.read("x", x),
                                                               .weight = m.read("weight", weight),
                                                               .bias = m.read("bias", bias),
                                                               .residual = nullptr,
                                                               .y = m.write("y", y)};
  }
  Cost cost(int element_bytes) const { return ddpm::cost(shape, element_bytes); }
  ErrorGrowth error_growth(BufferId /*result*/) const {
    return growth_of_sum(9.0 * shape.c, kLayerRoundings);
  }
  template <typename T>
  void compute(const Conv2dArgs<T>& args) const {
    reference::upsample_conv2d<T>(shape, args);
  }
};

struct UpsampleConv2dBackwardData {
  UpsampleConv2dShape shape;
  BufferId dy, weight, residual = kNoBuffer, dx = kNoBuffer;

  static constexpr const char* kKind = "upsample_conv2d_backward_data";
  template <typename Memory>
  auto args(Memory&& m) const {
    return Conv2dBackwardDataArgs<ComputeType<Memory>>{.dy = m.read("dy", dy),
                                                       .weight = m.read("weight", weight),
                                                       .residual = m.read("residual", residual),
                                                       .dx = m.write("dx", dx, residual)};
  }
  Cost cost(int element_bytes) const { return ddpm::cost(shape, element_bytes); }
  ErrorGrowth error_growth(BufferId /*result*/) const {
    // In the folded form sums of weights are stored too.
    ErrorGrowth growth = growth_of_sum(9.0 * shape.k, kLayerRoundings);
    growth.terms *= 4;
    return growth;
  }
  template <typename T>
  void compute(const Conv2dBackwardDataArgs<T>& args) const {
    reference::upsample_conv2d_backward_data<T>(shape, args);
  }
};

struct UpsampleConv2dBackwardWeight {
  UpsampleConv2dShape shape;
  BufferId x, dy, dweight, dbias = kNoBuffer;

  static constexpr const char* kKind = "upsample_conv2d_backward_weight";
  template <typename Memory>
  auto args(Memory&& m) const {
    return Conv2dBackwardWeightArgs<ComputeType<Memory>, MasterType<Memory>>{
        .x = m.read("x", x),
        .dy = m.read("dy", dy),
        .dweight = m.update("dweight", dweight),
        .dbias = m.update("dbias", dbias)};
  }
  Cost cost(int element_bytes) const { return ddpm::cost(shape, element_bytes); }
  ErrorGrowth error_growth(BufferId result) const {
    return growth_of_sum(4.0 * shape.n * shape.h * shape.w, result == dweight ? kLayerRoundings : 0);
  }
  template <typename T>
  void compute(const Conv2dBackwardWeightArgs<T>& args) const {
    reference::upsample_conv2d_backward_weight<T>(shape, args);
  }
};

}  // namespace ddpm
