// Every operation as plain loops on the CPU, in float and double: the oracle for all faster implementations,
// as close to the formulas as code can be. The math is in each operation's header in kernels/. Sums are taken
// in double and rounded to T once. kernels/cpu/cpu.h has float versions tuned for speed.
//
// Results do not depend on the number of threads: parallel loops write independent outputs, and every sum has
// a fixed order.
#pragma once

#include "kernels/adam_ema.h"
#include "kernels/attention.h"
#include "kernels/conv2d.h"
#include "kernels/diffusion.h"
#include "kernels/dynamic_threshold.h"
#include "kernels/group_norm.h"
#include "kernels/guidance.h"
#include "kernels/labels.h"
#include "kernels/linear.h"
#include "kernels/resample.h"
#include "kernels/sampler_step.h"
#include "kernels/softmax.h"
#include "kernels/time_embedding.h"

namespace ddpm::reference {

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

// y (N,2H,2W,C) repeats each pixel of x (N,H,W,C) four times; the gradient is dx = sum of the four + residual
// (may be null).
template <typename T>
void upsample_nearest(int n, int h, int w, int c, const T* x, T* y);
template <typename T>
void upsample_nearest_backward(int n, int h, int w, int c, const T* dy, const T* residual, T* dx);

template <typename T>
void group_norm(const GroupNormShape& shape, const GroupNormArgs<T>& args);
template <typename T>
void group_norm_backward(const GroupNormShape& shape, const GroupNormBackwardArgs<T>& args);

template <typename T>
void attention(const AttentionShape& shape, const AttentionArgs<T>& args);
template <typename T>
void attention_backward(const AttentionShape& shape, const AttentionBackwardArgs<T>& args);

template <typename T>
void softmax(const SoftmaxShape& shape, const SoftmaxArgs<T>& args);
template <typename T>
void softmax_backward(const SoftmaxShape& shape, const SoftmaxBackwardArgs<T>& args);

template <typename T>
void linear(const LinearShape& shape, const LinearArgs<T>& args);
template <typename T>
void linear_backward(const LinearShape& shape, const LinearBackwardArgs<T>& args);

template <typename T>
void time_embedding(const TimeEmbeddingShape& shape, const TimeEmbeddingArgs<T>& args);

template <typename T>
void diffuse(const DiffusionShape& shape, const DiffuseArgs<T>& args);
template <typename T>
void loss(const DiffusionShape& shape, const LossArgs<T>& args);

template <typename T>
void gather_labels(const LabelsShape& shape, const GatherLabelsArgs<T>& args);

template <typename T>
void adam_ema(const AdamEmaShape& shape, const AdamEmaArgs<T>& args);

template <typename T>
void guidance(const GuidanceShape& shape, const GuidanceArgs<T>& args);
template <typename T>
void dynamic_threshold(const DynamicThresholdShape& shape, const DynamicThresholdArgs<T>& args);
template <typename T>
void sampler_start(const SamplerStepShape& shape, const SamplerStartArgs<T>& args);
template <typename T>
void sampler_step(const SamplerStepShape& shape, const SamplerStepArgs<T>& args);

template <typename T>
void upsample_nearest(const ResampleShape& shape, const ResampleArgs<T>& args);
template <typename T>
void sum_pool(const ResampleShape& shape, const ResampleArgs<T>& args);
template <typename T>
void rescale(const RescaleShape& shape, const RescaleArgs<T>& args);
template <typename T>
void one_hot(const OneHotShape& shape, const OneHotArgs<T>& args);

// y = a + b, elementwise; y may be a or b.
template <typename T>
void add(int64_t count, const T* a, const T* b, T* y);

}  // namespace ddpm::reference
