// Launchers of the GPU kernels. An operation's launcher is declared in its header in kernels/, with the math,
// parameters and arguments; this header declares the rest: kernels around library calls, and those that
// measure and check them. Each kernel is in the .cu file of its name. cuDNN and cuBLASLt run convolutions and
// GEMMs (runtime/library).
//
// T is float or BFloat16, the type of activations. Arithmetic, statistics, parameters and optimizer states
// are float. Pointers are device memory, 16-byte aligned, and channels are multiples of 16 bytes, unless
// stated otherwise. Launchers throw InputError for shapes that their kernel does not support. They enqueue on
// `stream` and return; nothing allocates. Results are deterministic to the bit: no floating-point atomics,
// and every sum has a fixed order.
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

// Group norm with a tuning other than the default.
size_t group_norm_backward_scratch_bytes(const GroupNormParams& params, const GroupNormTuning& tuning);
template <typename T>
void group_norm(const GroupNormParams& params, const GroupNormArgs<T, float>& args, void* scratch,
                StreamView stream, const GroupNormTuning& tuning);
template <typename T>
void group_norm_backward(const GroupNormParams& params, const GroupNormBackwardArgs<T, float>& args,
                         void* scratch, StreamView stream, const GroupNormTuning& tuning);

// elementwise.cu. Any count, any number of channels.
// to[i] += from[i]: adds a parameter gradient computed in T to the float gradient arena.
template <typename T>
void accumulate(int64_t count, const T* from, float* to, StreamView stream);
// The same for (rows, channels) where rows of `to` are to_stride elements apart: channels of a wider filter.
// `to` need not be aligned.
template <typename T>
void accumulate_rows(int64_t rows, int channels, int64_t to_stride, const T* from, float* to,
                     StreamView stream);
// y[row,k] = bias[k] (+ residual[row,k] if not null) for y (rows, channels): the start value that a
// convolution then accumulates on.
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
// y[i] = SiLU(x[i]) and dx[i] = dy[i] SiLU'(x[i]): the input activation of fully connected layers.
template <typename T>
void silu(int64_t count, const T* x, T* y, StreamView stream);
template <typename T>
void silu_backward(int64_t count, const T* x, const T* dy, T* dx, StreamView stream);
template <typename From, typename To>
void convert(int64_t count, const From* from, To* to, StreamView stream);
// resample.cu. Any number of channels.
// (N,H,W,C) -> (N,H+1,W+1,C) with zeros below and to the right, for convolution libraries without (0,1)
// padding; and back.
template <typename T>
void pad_after(int n, int h, int w, int c, const T* x, T* y, StreamView stream);
template <typename T>
void crop_after(int n, int h, int w, int c, const T* x, T* y, StreamView stream);

// upsample_weight.cu. Folds the weight (K,3,3,C) of a convolution after upsampling into the filter (C,4,4,K)
// of UpsampleConv2dShape::folded(), and adds that filter's gradient to the weight gradient (the transposed
// map). Any number of channels.
template <typename T>
void fold_upsample_weight(int k, int c, const T* weight, T* folded, StreamView stream);
template <typename T>
void unfold_upsample_gradient(int k, int c, const T* dfolded, float* dweight, StreamView stream);

// flush_cache.cu. Reads `zeros`, a whole number of vectors and at least twice the size of the L2 cache. It
// fills the cache with clean lines; dirty ones would be written back while the next kernel is timed.
void flush_cache(int64_t count, float* zeros, StreamView stream);

// sampled_elements.cu: computes chosen elements of convolutions and GEMMs directly and compares them with a
// library's. Any size; pointers need no alignment. elements (count) holds element indices.
template <typename T>
void sample_conv2d(const Conv2dShape& shape, Conv2dPass pass, const Conv2dSampleArgs<T>& args, int64_t count,
                   const int64_t* elements, SampledElement* samples, StreamView stream);
template <typename From, typename To>
void sample_gemm(const GemmSampleParams& shape, const GemmSampleArgs<From, To>& args, int64_t count,
                 const int64_t* elements, SampledElement* samples, StreamView stream);
// values[i] = from[offsets[i]]
template <typename T>
void gather(int64_t count, const int64_t* offsets, const T* from, double* values, StreamView stream);
// Numbers whose sum (mod 2^64) tells arrays of the same size apart with a collision probability of 2^-64.
int64_t fingerprint_parts(int64_t bytes);
void fingerprint(int64_t bytes, const void* array, uint64_t* parts, StreamView stream);

// layout.cu: (N,C,H,W) <-> (N,H,W,C), any number of channels.
template <typename T>
void nchw_to_nhwc(int n, int c, int h, int w, const T* from, T* to, StreamView stream);
template <typename T>
void nhwc_to_nchw(int n, int c, int h, int w, const T* from, T* to, StreamView stream);

}  // namespace ddpm::cuda
