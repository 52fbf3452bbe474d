// Launchers of every GPU kernel. The math, shapes and arguments are in each operation's header in kernels/;
// the kernels are in the .cu file of the same name here. Convolutions and GEMMs are not among them: cuDNN and
// cuBLASLt run those (runtime/library/), and product_samples.cu checks their results.
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
#include "kernels/cuda/group_norm_plan.h"
#include "kernels/diffusion.h"
#include "kernels/dynamic_threshold.h"
#include "kernels/group_norm.h"
#include "kernels/guidance.h"
#include "kernels/labels.h"
#include "kernels/product_samples.h"
#include "kernels/resample.h"
#include "kernels/sampler_step.h"
#include "kernels/softmax.h"
#include "kernels/time_embedding.h"

namespace ddpm::cuda {

// group_norm.cu, group_norm_backward.cu. Forward scratch holds partial statistics of images that no block can
// keep in shared memory (and is empty otherwise); backward scratch holds the per-(image, channel) sums that
// become dgamma, dbeta and dbias.
size_t group_norm_scratch_bytes(const GroupNormShape& shape);
template <typename T>
void group_norm(const GroupNormShape& shape, const GroupNormArgs<T, float>& args, void* scratch,
                StreamView stream, const GroupNormTuning& tuning = {});
size_t group_norm_backward_scratch_bytes(const GroupNormShape& shape, const GroupNormTuning& tuning = {});
template <typename T>
void group_norm_backward(const GroupNormShape& shape, const GroupNormBackwardArgs<T, float>& args,
                         void* scratch, StreamView stream, const GroupNormTuning& tuning = {});

// time_embedding.cu. Any number of channels.
template <typename T>
void time_embedding(const TimeEmbeddingShape& shape, const TimeEmbeddingArgs<T, float>& args,
                    StreamView stream);

// diffusion.cu. Scratch holds the random draws of each image and the partial sums of the loss.
// Any image size.
size_t diffuse_scratch_bytes(const DiffusionShape& shape);
template <typename T>
void diffuse(const DiffusionShape& shape, const DiffuseArgs<T, float>& args, void* scratch,
             StreamView stream);
size_t loss_scratch_bytes(const DiffusionShape& shape);
template <typename T>
void loss(const DiffusionShape& shape, const LossArgs<T, float>& args, void* scratch, StreamView stream);

// labels.cu
template <typename T>
void gather_labels(const LabelsShape& shape, const GatherLabelsArgs<T, float>& args, StreamView stream);

// sampler_step.cu. Any image size.
template <typename T>
void sampler_start(const SamplerStepShape& shape, const SamplerStartArgs<T, float>& args, StreamView stream);
template <typename T>
void sampler_step(const SamplerStepShape& shape, const SamplerStepArgs<T, float>& args, StreamView stream);

// guidance.cu. Any image size.
template <typename T>
void guidance(const GuidanceShape& shape, const GuidanceArgs<T>& args, StreamView stream);

// dynamic_threshold.cu. Any image size.
template <typename T>
void dynamic_threshold(const DynamicThresholdShape& shape, const DynamicThresholdArgs<T, float>& args,
                       StreamView stream);

// adam_ema.cu. compute_weights (count) receives the bf16 copy of the weights that the network computes with;
// may be null.
size_t adam_ema_scratch_bytes(const AdamEmaShape& shape);
void adam_ema(const AdamEmaShape& shape, const AdamEmaArgs<float>& args, BFloat16* compute_weights,
              void* scratch, StreamView stream);

// softmax.cu. Rows of up to 4096 elements in float and 8192 in bf16.
template <typename T>
void softmax(const SoftmaxShape& shape, const SoftmaxArgs<T>& args, StreamView stream);
template <typename T>
void softmax_backward(const SoftmaxShape& shape, const SoftmaxBackwardArgs<T>& args, StreamView stream);

// elementwise.cu. Any count, any number of channels.
// y[i] = a[i] + b[i]; y may be a or b.
template <typename T>
void add(int64_t count, const T* a, const T* b, T* y, StreamView stream);
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
// *counter += 1
void advance_counter(int64_t* counter, StreamView stream);

// resample.cu. Any number of channels.
template <typename T>
void upsample_nearest(const ResampleShape& shape, const ResampleArgs<T>& args, StreamView stream);
template <typename T>
void sum_pool(const ResampleShape& shape, const ResampleArgs<T>& args, StreamView stream);
template <typename T>
void rescale(const RescaleShape& shape, const RescaleArgs<T, float>& args, StreamView stream);
template <typename T>
void one_hot(const OneHotShape& shape, const OneHotArgs<T, float>& args, StreamView stream);
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

// product_samples.cu: computes chosen elements of convolutions and GEMMs directly and compares them with a
// library's. Any size; pointers need no alignment. elements (count) holds element indices.
template <typename T>
void conv2d_samples(const Conv2dShape& shape, Conv2dPass pass, const Conv2dSampleArgs<T>& args, int64_t count,
                    const int64_t* elements, ProductSample* samples, StreamView stream);
template <typename From, typename To>
void matrix_samples(const MatrixSampleShape& shape, const MatrixSampleArgs<From, To>& args, int64_t count,
                    const int64_t* elements, ProductSample* samples, StreamView stream);
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
