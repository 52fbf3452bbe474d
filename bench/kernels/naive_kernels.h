// The kernels of kernels_benchmark.cpp as one would write them first, in bf16: one element a thread, scalar
// accesses, one kernel for each step of the formulas. The baselines. Depends on kernels/*.h and
// kernels/device/stream.h.
#pragma once

#include <cstdint>

#include "kernels/adam_ema.h"
#include "kernels/device/bfloat16.h"
#include "kernels/device/stream.h"
#include "kernels/diffusion.h"
#include "kernels/resample.h"
#include "kernels/sampler_step.h"
#include "kernels/softmax.h"

namespace ddpm::naive {

// No flips; t is given. Each thread draws its own element's noise and finds its own image.
void diffuse(const DiffusionShape& shape, const DiffuseArgs<BFloat16, float>& args, StreamView stream);
// Predicts epsilon, without weights; a block an image.
void loss(const DiffusionShape& shape, const LossArgs<BFloat16, float>& args, StreamView stream);
// Adam, then the average, then the copy, each a pass of its own; no clipping, no norm.
void adam_ema(const AdamEmaShape& shape, const AdamEmaArgs<float>& args, BFloat16* compute_weights,
              StreamView stream);
// DDPM: x = a x + b clip(x0) + c z.
void sampler_step(const SamplerStepShape& shape, const SamplerStepArgs<BFloat16, float>& args,
                  StreamView stream);
// A block a row, which is read three times.
void softmax(const SoftmaxShape& shape, const SoftmaxArgs<BFloat16>& args, StreamView stream);
// A thread a column.
void bias_gradient(int64_t rows, int channels, const BFloat16* dy, float* dbias, StreamView stream);
// A thread an element of the larger image.
void upsample_nearest(const ResampleShape& shape, const ResampleArgs<BFloat16>& args, StreamView stream);

}  // namespace ddpm::naive
