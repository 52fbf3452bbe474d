// Group normalization, fused with the operations around it in a U-Net block.
#pragma once

#include <cstdint>

#include "kernels/activation.h"
#include "kernels/operation.h"

namespace ddpm {

// Wu & He 2018, on u = [x, skip] (concatenated by channel, never written), with the fused neighbors:
//   u[n,i,c] += shift[n,c] + bias[c]           shift: the time embedding; bias: the convolution's
//   xhat      = (u - mean[n,g]) rstd[n,g]      biased variance over the group's channels and pixels, in two
//                                              passes; rstd = 1 / sqrt(variance + eps)
//   v         = xhat gamma[c] + beta[c]
//   w         = v (1 + film[n,c]) + film[n,C+c]   FiLM ("scale_shift" time modulation)
//   y[n,i,c]  = dropout(activation(w))         kept values are scaled by 1 / (1 - rate)
// i runs over the H*W pixels.
struct GroupNormParams {
  int n = 1;
  int pixels = 1;         // H*W
  int x_channels = 1;     // x (N, pixels, x_channels)
  int skip_channels = 0;  // skip (N, pixels, skip_channels), the skip connection; 0: there is none
  int groups = 1;         // divides x_channels + skip_channels; a group may straddle the two
  double eps = 1e-6;
  Activation activation = Activation::kNone;
  // shift is a slice of a wider matrix (N, shift_stride), the time projections of all blocks side by side;
  // the pointer is to the slice's first column. So is film, with a slice of 2C columns: [scale, shift].
  int shift_stride = 0;
  int film_stride = 0;
  double dropout = 0;  // probability that an element is dropped; 0: none
  uint32_t dropout_stream =
      0;  // which mask (kernels/random.h): RandomStream::kDropout + the operation's number

  int channels() const { return x_channels + skip_channels; }
  int channels_per_group() const { return channels() / groups; }
  int64_t elements() const { return int64_t{n} * pixels * channels(); }
  bool operator==(const GroupNormParams&) const = default;
};

// Where the dropout mask comes from: a pure function of the seed, the image's position in the run's stream of
// images (*step * n + image) and the element's index in (pixels, C). None of it is stored.
struct DropoutKey {
  uint64_t seed = 0;
  const int64_t* step = nullptr;  // may be null where dropout is 0
};

// T is the activations' type, M that of parameters and statistics: float next to bf16, T itself in the
// reference. skip, shift, bias, film may be null. mean and rstd (N, groups) are kept for the backward pass.
template <typename T, typename M = T>
struct GroupNormArgs {
  const T* x;
  const T* skip;
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

// dx = gradient + addends of x (each null or shaped like dx; may be dx itself), likewise dskip: gradients
// that reach the same tensor by other paths are added here instead of in a pass of their own.
// dgamma, dbeta, dbias (C) are accumulated (+=); dshift and dfilm (slices as in the forward pass) are
// overwritten. dshift[n,c] is the sum over pixels of the gradient of u, so the convolution's bias gradient is
// its sum over n.
template <typename T, typename M = T>
struct GroupNormBackwardArgs {
  const T* dy;
  const T* x;
  const T* skip;
  const T* shift;
  const M* bias;
  const M* gamma;
  const M* beta;
  const T* film;
  const M* mean;
  const M* rstd;
  const T* dx_addends[2];
  const T* dskip_addends[2];
  T* dx;
  T* dskip;
  T* dshift;
  M* dbias;
  M* dgamma;
  M* dbeta;
  T* dfilm;
  DropoutKey dropout;
};

// Ideal traffic: the slice stays on the chip between the statistics and the normalization. About 10
// operations an element forward (with SiLU) and 25 backward.
inline Cost cost(const GroupNormParams& p, int element_bytes) {
  return {10.0 * double(p.elements()), 2.0 * element_bytes * double(p.elements())};
}
inline Cost backward_cost(const GroupNormParams& p, int element_bytes) {
  return {25.0 * double(p.elements()), 3.0 * element_bytes * double(p.elements())};
}

namespace reference {
template <typename T>
void group_norm(const GroupNormParams& params, const GroupNormArgs<T>& args);
template <typename T>
void group_norm_backward(const GroupNormParams& params, const GroupNormBackwardArgs<T>& args);
}  // namespace reference

// group_norm.cu, group_norm_backward.cu. Scratch holds, forward, the partial statistics of images that no
// block's shared memory can keep (none otherwise), and backward the per-(image, channel) sums that become
// dgamma, dbeta and dbias. Another tuning than the plan's own: kernels/cuda/group_norm_plan.h.
namespace cuda {
size_t group_norm_scratch_bytes(const GroupNormParams& params);
template <typename T>
void group_norm(const GroupNormParams& params, const GroupNormArgs<T, float>& args, void* scratch,
                StreamView stream);
size_t group_norm_backward_scratch_bytes(const GroupNormParams& params);
template <typename T>
void group_norm_backward(const GroupNormParams& params, const GroupNormBackwardArgs<T, float>& args,
                         void* scratch, StreamView stream);
}  // namespace cuda

struct GroupNorm {
  GroupNormParams params;
  BufferId x, skip = kNoBuffer;
  BufferId shift = kNoBuffer;  // (N, shift_stride): the block's columns start at shift_column
  int shift_column = 0;
  BufferId bias = kNoBuffer;
  BufferId gamma, beta;
  BufferId film = kNoBuffer;  // (N, film_stride): the block's 2C columns start at film_column
  int film_column = 0;
  BufferId step = kNoBuffer;  // where there is dropout
  uint64_t seed = 0;
  BufferId y = kNoBuffer, mean = kNoBuffer, rstd = kNoBuffer;

  static constexpr const char* kKind = "group_norm";
  template <typename Memory>
  auto args(Memory&& m) const {
    return GroupNormArgs<ComputeType<Memory>, MasterType<Memory>>{
        .x = m.read("x", x),
        .skip = m.read("skip", skip),
        .shift = m.read("shift", shift, shift_column),
        .bias = m.read("bias", bias),
        .gamma = m.read("gamma", gamma),
        .beta = m.read("beta", beta),
        .film = m.read("film", film, film_column),
        .y = m.write("y", y),
        .mean = m.write("mean", mean),
        .rstd = m.write("rstd", rstd),
        .dropout = {seed, m.read("step", step)}};
  }
  Cost cost(int element_bytes) const { return ddpm::cost(params, element_bytes); }
  ErrorGrowth error_growth(BufferId result) const {
    return growth_of_sum(double(params.pixels) * params.channels_per_group(), result == y ? 2 : 0);
  }
  template <typename T>
  void compute(const GroupNormArgs<T>& args) const {
    reference::group_norm<T>(params, args);
  }
  size_t scratch_bytes() const { return cuda::group_norm_scratch_bytes(params); }
  template <typename T>
  void launch(const GroupNormArgs<T, float>& args, const LaunchOn& on) const {
    cuda::group_norm<T>(params, args, on.scratch, on.stream);
  }
};

struct GroupNormBackward {
  GroupNorm forward;
  BufferId dy;
  BufferId dx_addends[2] = {kNoBuffer, kNoBuffer};
  BufferId dskip_addends[2] = {kNoBuffer, kNoBuffer};
  BufferId dx = kNoBuffer, dskip = kNoBuffer, dshift = kNoBuffer, dbias = kNoBuffer, dgamma, dbeta,
           dfilm = kNoBuffer;

  static constexpr const char* kKind = "group_norm_backward";
  template <typename Memory>
  auto args(Memory&& m) const {
    return GroupNormBackwardArgs<ComputeType<Memory>, MasterType<Memory>>{
        .dy = m.read("dy", dy),
        .x = m.read("x", forward.x),
        .skip = m.read("skip", forward.skip),
        .shift = m.read("shift", forward.shift, forward.shift_column),
        .bias = m.read("bias", forward.bias),
        .gamma = m.read("gamma", forward.gamma),
        .beta = m.read("beta", forward.beta),
        .film = m.read("film", forward.film, forward.film_column),
        .mean = m.read("mean", forward.mean),
        .rstd = m.read("rstd", forward.rstd),
        .dx_addends = {m.read("dx_addend", dx_addends[0]), m.read("dx_addend", dx_addends[1])},
        .dskip_addends = {m.read("dskip_addend", dskip_addends[0]), m.read("dskip_addend", dskip_addends[1])},
        .dx = m.write("dx", dx, dx_addends[0]),
        .dskip = m.write("dskip", dskip, dskip_addends[0]),
        .dshift = m.write_columns("dshift", dshift, forward.shift_column),
        .dbias = m.update("dbias", dbias),
        .dgamma = m.update("dgamma", dgamma),
        .dbeta = m.update("dbeta", dbeta),
        .dfilm = m.write_columns("dfilm", dfilm, forward.film_column),
        .dropout = {forward.seed, m.read("step", forward.step)}};
  }
  Cost cost(int element_bytes) const { return backward_cost(forward.params, element_bytes); }
  ErrorGrowth error_growth(BufferId result) const {
    // The closed form of the shift's gradient subtracts nearly equal sums over pixels, and so does that of x.
    constexpr double kAmplification = 4;
    const GroupNormParams& p = forward.params;
    if (result == dbias || result == dgamma || result == dbeta)
      return growth_of_sum(double(p.n) * p.pixels, 0, kAmplification);
    return growth_of_sum(double(p.pixels) * p.channels_per_group(), 2, kAmplification);
  }
  template <typename T>
  void compute(const GroupNormBackwardArgs<T>& args) const {
    reference::group_norm_backward<T>(forward.params, args);
  }
  size_t scratch_bytes() const { return cuda::group_norm_backward_scratch_bytes(forward.params); }
  template <typename T>
  void launch(const GroupNormBackwardArgs<T, float>& args, const LaunchOn& on) const {
    cuda::group_norm_backward<T>(forward.params, args, on.scratch, on.stream);
  }
};

}  // namespace ddpm
