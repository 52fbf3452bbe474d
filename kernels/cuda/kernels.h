// Every kernel that runs on the GPU, by the function that launches it. Those that are an operation of their own
// are declared in the operation's header in kernels/, which has the mathematics, parameters and arguments; the
// rest are declared here: the small kernels around library calls, and what measures and checks those. Each is in
// the .cu file of its name. Convolutions and GEMMs are cuDNN's and cuBLASLt's (runtime/library).
//
// T is float or BFloat16: the type of activations. Arithmetic, statistics, parameters and optimizer states are
// float. Pointers are device memory, 16-byte aligned; channels are multiples of 16 bytes unless a header says
// otherwise, and what a kernel cannot do is refused with an InputError. All is asynchronous on `stream`; nothing
// allocates. Results are the same bits in every run: no floating-point atomics, sums in a fixed order.
#pragma once

#include <cstddef>

#include "device/bfloat16.h"
#include "device/stream.h"
#include "kernels/adam_ema.h"
#include "kernels/add.h"
#include "kernels/counter.h"
#include "kernels/cuda/group_norm_plan.h"
#include "kernels/diffusion.h"
#include "kernels/dynamic_threshold.h"
#include "kernels/group_norm.h"
#include "kernels/guidance.h"
#include "kernels/labels.h"
#include "kernels/resample.h"
#include "kernels/sampled_elements.h"
#include "kernels/sampler_step.h"
#include "kernels/softmax.h"
#include "kernels/time_embedding.h"

namespace ddpm::cuda {

// Group normalization with another tuning than its plan's own.
size_t group_norm_backward_scratch_bytes(const GroupNormParams& params, const GroupNormTuning& tuning);
template <typename T>
void group_norm(const GroupNormParams& params, const GroupNormArgs<T, float>& args, void* scratch,
                StreamView stream, const GroupNormTuning& tuning);
template <typename T>
void group_norm_backward(const GroupNormParams& params, const GroupNormBackwardArgs<T, float>& args,
                         void* scratch, StreamView stream, const GroupNormTuning& tuning);

// elementwise.cu. Any count, any channels.
// to[i] += from[i]: a parameter's gradient that was computed in T joins the arena of gradients.
template <typename T>
void accumulate(int64_t count, const T* from, float* to, StreamView stream);
// The same for (rows, channels), where rows of `to` lie to_stride elements apart: the channels of a wider
// filter. `to` need not be aligned.
template <typename T>
void accumulate_rows(int64_t rows, int channels, int64_t to_stride, const T* from, float* to,
                     StreamView stream);
// y[row,k] = bias[k] (+ residual[row,k] where not null) for y (rows, channels): what a convolution then
// accumulates on.
template <typename T>
void broadcast_bias(int64_t rows, int channels, const T* bias, const T* residual, T* y, StreamView stream);
// dbias[k] and also_dbias[k] (may be null) += sum over rows of dy[row,k].
struct BiasGradients {
  float* dbias;
  float* also_dbias = nullptr;
};
size_t bias_gradient_scratch_bytes(int64_t rows, int channels);
template <typename T>
void bias_gradient(int64_t rows, int channels, const T* dy, const BiasGradients& to, void* scratch,
                   StreamView stream);
// y[i] = SiLU(x[i]), and dx[i] = dy[i] SiLU'(x[i]): the linear layers' input activation.
template <typename T>
void silu(int64_t count, const T* x, T* y, StreamView stream);
template <typename T>
void silu_backward(int64_t count, const T* x, const T* dy, T* dx, StreamView stream);
template <typename From, typename To>
void convert(int64_t count, const From* from, To* to, StreamView stream);
// resample.cu. Any channels.
// (N,H,W,C) -> (N,H+1,W+1,C) with zeros below and to the right, where a convolution library knows no (0,1)
// padding; and back.
template <typename T>
void pad_after(int n, int h, int w, int c, const T* x, T* y, StreamView stream);
template <typename T>
void crop_after(int n, int h, int w, int c, const T* x, T* y, StreamView stream);

// upsample_weight.cu. The weight (K,3,3,C) of a convolution after upsampling as the filter (C,4,4,K) of
// UpsampleConv2dShape::folded(), and that filter's gradient added to the weight's (the transposed map). Any
// channels.
template <typename T>
void fold_upsample_weight(int k, int c, const T* weight, T* folded, StreamView stream);
template <typename T>
void unfold_upsample_gradient(int k, int c, const T* dfolded, float* dweight, StreamView stream);

// flush_cache.cu. Reads `zeros`, a whole number of vectors that should be twice the L2 cache or more. What
// then fills the cache are unchanged lines: lines that were written would have to go back to memory while the
// next kernel is timed.
void flush_cache(int64_t count, float* zeros, StreamView stream);

// sampled_elements.cu: chosen elements of products, plainly computed, and what compares them with a library's.
// Any sizes; pointers need no alignment. elements (count) holds the elements' indices.
template <typename T>
void sample_conv2d(const Conv2dShape& shape, Conv2dPass pass, const Conv2dSampleArgs<T>& args, int64_t count,
                   const int64_t* elements, SampledElement* samples, StreamView stream);
template <typename From, typename To>
void sample_gemm(const GemmSampleParams& shape, const GemmSampleArgs<From, To>& args, int64_t count,
                 const int64_t* elements, SampledElement* samples, StreamView stream);
// values[i] = from[offsets[i]]
template <typename T>
void gather(int64_t count, const int64_t* offsets, const T* from, double* values, StreamView stream);
// Numbers whose sum (mod 2^64) tells arrays of this size apart by any bit, but for one pair in 2^64.
int64_t fingerprint_parts(int64_t bytes);
void fingerprint(int64_t bytes, const void* array, uint64_t* parts, StreamView stream);

// layout.cu: (N,C,H,W) <-> (N,H,W,C), any channels.
template <typename T>
void nchw_to_nhwc(int n, int c, int h, int w, const T* from, T* to, StreamView stream);
template <typename T>
void nhwc_to_nchw(int n, int c, int h, int w, const T* from, T* to, StreamView stream);

}  // namespace ddpm::cuda
