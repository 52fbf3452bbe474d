// Group normalisation fused with everything that surrounds it in a U-Net block: its shape, arguments and
// cost. Implementation: kernels/reference/group_norm.cpp.
#pragma once

#include <cstdint>

#include "kernels/activation.h"
#include "kernels/cost.h"

namespace ddpm {

// Wu & He 2018, on x = [x0, x1] (concatenated by channel, never written), with the fused neighbours:
//   u[n,i,c]  = x[n,i,c] + shift[n,c] + bias[c]              shift: the time embedding; bias: the
//   convolution's xhat      = (u - mean[n,g]) * rstd[n,g]                   biased variance over the group's
//   channels and pixels,
//                                                             two passes; rstd = 1/sqrt(variance + eps)
//   v         = xhat * gamma[c] + beta[c]
//   w         = v * (1 + film[n,c]) + film[n,C+c]             FiLM ("scale_shift" time modulation)
//   y[n,i,c]  = dropout(activation(w))                        kept values are scaled by 1 / (1 - rate)
// i runs over the H*W pixels.
struct GroupNormShape {
  int n = 1;
  int pixels = 1;  // H*W
  int c0 = 1;      // channels of x0 (N, pixels, c0)
  int c1 = 0;      // channels of x1 (N, pixels, c1); 0: one source
  int groups = 1;  // divides c0 + c1; a group may straddle the two sources
  double eps = 1e-6;
  Activation activation = Activation::kNone;
  // shift is a slice of a wider matrix (N, shift_stride): the time projections of all blocks side by side,
  // and the pointer is that of the slice's first column. The same holds for film, whose slice is 2C wide:
  // [scale, shift].
  int shift_stride = 0;
  int film_stride = 0;
  double dropout = 0;  // probability that an element is dropped; 0: none
  uint32_t dropout_stream =
      0;  // which mask (kernels/random.h): RandomStream::kDropout + the operation's number

  int channels() const { return c0 + c1; }
  int channels_per_group() const { return channels() / groups; }
  int64_t elements() const { return int64_t{n} * pixels * channels(); }
  bool operator==(const GroupNormShape&) const = default;
};

// Where the dropout mask comes from: a pure function of the seed, the image's position in the run's stream of
// images (*step * n + image) and the element's index in (pixels, C). Nothing of it is stored.
struct DropoutKey {
  uint64_t seed = 0;
  const int64_t* step = nullptr;  // may be null where dropout is 0
};

// T is the activations' type, M that of parameters and statistics: float beside bf16, T itself in the
// reference. x1, shift, bias, film may be null. mean and rstd (N, groups) are kept for the backward pass.
template <typename T, typename M = T>
struct GroupNormArgs {
  const T* x0;
  const T* x1;
  const T* shift;
  const M* bias;
  const M* gamma;
  const M* beta;
  const T* film;
  T* y;
  M* mean;
  M* rstd;
  DropoutKey dropout;
};

// dx0 = gradient + addends of x0 (each null or shaped as dx0; may be dx0 itself), likewise dx1: the gradients
// that reach the same tensor by other ways are added here instead of in a pass of their own.
// dgamma, dbeta, dbias (C) are accumulated (+=); dshift and dfilm (slices as in the forward pass) are
// overwritten. dshift[n,c] = sum over pixels of the gradient of u, so the convolution's bias gradient is its
// sum over n.
template <typename T, typename M = T>
struct GroupNormBackwardArgs {
  const T* dy;
  const T* x0;
  const T* x1;
  const T* shift;
  const M* bias;
  const M* gamma;
  const M* beta;
  const T* film;
  const M* mean;
  const M* rstd;
  const T* dx0_addends[2];
  const T* dx1_addends[2];
  T* dx0;
  T* dx1;
  T* dshift;
  M* dbias;
  M* dgamma;
  M* dbeta;
  T* dfilm;
  DropoutKey dropout;
};

// Ideal traffic: the slice stays on the chip between the statistics and the normalisation. About 10
// operations an element forward (with SiLU) and 25 backward.
inline Cost cost(const GroupNormShape& s, int element_bytes) {
  return {10.0 * double(s.elements()), 2.0 * element_bytes * double(s.elements())};
}
inline Cost backward_cost(const GroupNormShape& s, int element_bytes) {
  return {25.0 * double(s.elements()), 3.0 * element_bytes * double(s.elements())};
}

}  // namespace ddpm
