// Naive bf16 kernels, the baselines of kernels_benchmark.cpp and layer_kernels_benchmark.cpp: one element per
// thread, scalar accesses, one kernel per step of the formulas.
#pragma once

#include <cstdint>

#include "device/bfloat16.h"
#include "device/stream.h"
#include "kernels/adam_ema.h"
#include "kernels/diffusion.h"
#include "kernels/dynamic_threshold.h"
#include "kernels/guidance.h"
#include "kernels/resample.h"
#include "kernels/sampler_step.h"
#include "kernels/softmax.h"
#include "kernels/time_embedding.h"

namespace ddpm {
// Which kernel to measure: ours (kernels/cuda) or its baseline.
enum class Kind : uint8_t { kOurs, kNaive };
}  // namespace ddpm

namespace ddpm::naive {

// No flips; t is given. Each thread draws the noise of its element and looks up its image.
void diffuse(const DiffusionParams& params, const DiffuseArgs<BFloat16, float>& args, StreamView stream);
// Epsilon prediction without weights; one block per image.
void loss(const DiffusionParams& params, const LossArgs<BFloat16, float>& args, StreamView stream);
// Adam, the average and the copy as separate passes; no clipping, no norm.
void adam_ema(const AdamParams& params, const AdamEmaArgs<float>& args, BFloat16* compute_weights,
              StreamView stream);
// DDPM: x = a x + b clip(x0) + c z.
void sampler_step(const SamplerStepParams& params, const SamplerStepArgs<BFloat16, float>& args,
                  StreamView stream);
// One block per image; bisection reads the image again for each bit of the quantile.
void dynamic_threshold(const DynamicThresholdParams& params,
                       const DynamicThresholdArgs<BFloat16, float>& args, StreamView stream);
void guidance(const GuidanceParams& params, const GuidanceArgs<BFloat16>& args, StreamView stream);
// Sinusoidal, sines first; even channels.
void time_embedding(const TimeEmbeddingParams& params, const TimeEmbeddingArgs<BFloat16, float>& args,
                    StreamView stream);
// One block per row, which is read three times, and twice in the backward pass.
void softmax(const SoftmaxParams& params, const SoftmaxArgs<BFloat16>& args, StreamView stream);
void softmax_backward(const SoftmaxParams& params, const SoftmaxBackwardArgs<BFloat16>& args,
                      StreamView stream);

// naive_layer_kernels.cu
void add(int64_t count, const BFloat16* a, const BFloat16* b, BFloat16* y, StreamView stream);
void accumulate(int64_t count, const BFloat16* from, float* to, StreamView stream);
void silu(int64_t count, const BFloat16* x, BFloat16* y, StreamView stream);
void broadcast_bias(int64_t rows, int channels, const BFloat16* bias, const BFloat16* residual, BFloat16* y,
                    StreamView stream);
// One thread per column.
void bias_gradient(int64_t rows, int channels, const BFloat16* dy, float* dbias, StreamView stream);
// One thread per element of y.
void upsample_nearest(const ResampleParams& params, const ResampleArgs<BFloat16>& args, StreamView stream);
void sum_pool(const ResampleParams& params, const ResampleArgs<BFloat16>& args, StreamView stream);
void pad_after(int n, int h, int w, int c, const BFloat16* x, BFloat16* y, StreamView stream);
// One thread per element of the result, which gathers its addends from all over the other array.
void fold_upsample_weight(int k, int c, const BFloat16* weight, BFloat16* folded, StreamView stream);
void unfold_upsample_gradient(int k, int c, const BFloat16* dfolded, float* dweight, StreamView stream);
void nchw_to_nhwc(int n, int c, int h, int w, const BFloat16* from, BFloat16* to, StreamView stream);

}  // namespace ddpm::naive
