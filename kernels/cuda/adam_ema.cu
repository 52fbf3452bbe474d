// The optimizer step over the parameter arenas: the gradient norm in two kernels, then one pass
// for everything else.
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "device/launch.h"
#include "device/reduce.h"
#include "device/shared_memory.h"
#include "kernels/cuda/check_arguments.h"
#include "kernels/cuda/columns.h"
#include "kernels/cuda/kernels.h"

namespace ddpm::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWidth = Packed<float>::kWidth;
constexpr int kNormUnroll = 4;        // vectors that a thread of the norm keeps in flight
constexpr int kMaxNormBlocks = 1024;  // about eight per multiprocessor of an H100, which has 132

// Depends only on the number of parameters, not on the GPU, and so do the bits of the norm.
int norm_blocks(int64_t count) {
  return static_cast<int>(
      std::min<int64_t>(kMaxNormBlocks, ceil_div(count, kThreads * kWidth * kNormUnroll)));
}

// Factors of kernels/adam_ema.h at step k, shared by all parameters.
struct Factors {
  float clip;
  float decay;  // lr_k * weight_decay
  float beta1, one_minus_beta1;
  float beta2, one_minus_beta2;
  float step_size;          // lr_k / (1 - beta1^(k+1))
  float second_correction;  // 1 / (1 - beta2^(k+1))
  float eps;
  float ema, one_minus_ema;
};

struct Scratch {
  Factors factors;
  float squares[kMaxNormBlocks];
};

struct Shared {
  BlockReduceScratch<float> scratch;
};

// Math: squares[block] = sum of g[i]^2 over the block's i.
// Threads: vector v belongs to thread v modulo the number of threads in the grid. Each of a vector's elements
// has a sum of its own; the sums of a block are added in block_reduce's order.
// Shared: 128 bytes.
// Traffic: g once. 2 FLOPs per element.
// Preconditions: count is a multiple of 4.
__global__ void __launch_bounds__(kThreads)
    sum_of_squares_kernel(int64_t count, const float* __restrict__ gradients, float* __restrict__ squares) {
  Shared& shared = block_shared<Shared>();
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads * kWidth;
  int64_t at = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kWidth;
  float sum[kWidth] = {};
  for (; at < count; at += kNormUnroll * step) {
    float g[kNormUnroll][kWidth] = {};
#pragma unroll
    for (int u = 0; u < kNormUnroll; ++u)
      if (at + u * step < count) load_floats(gradients + at + u * step, g[u]);
#pragma unroll
    for (int u = 0; u < kNormUnroll; ++u)
#pragma unroll
      for (int k = 0; k < kWidth; ++k) sum[k] += g[u][k] * g[u][k];
  }
  const float total = block_reduce((sum[0] + sum[1]) + (sum[2] + sum[3]), Sum{}, shared.scratch);
  if (threadIdx.x == 0) squares[blockIdx.x] = total;
}

__device__ double learning_rate_of(const AdamParams& params, double k) {
  if (params.warmup_steps == 0) return params.learning_rate;
  return params.learning_rate * fmin(1.0, (k + 1) / static_cast<double>(params.warmup_steps));
}

__device__ Factors factors_of(const AdamParams& params, double k, double norm) {
  const double rate = learning_rate_of(params, k);
  const double clip = params.clip_norm > 0 ? fmin(1.0, params.clip_norm / (norm + 1e-6)) : 1.0;
  const double ema = params.ema_ramp ? fmin(params.ema_decay, (1 + k) / (10 + k)) : params.ema_decay;
  return {.clip = static_cast<float>(clip),
          .decay = static_cast<float>(rate * params.weight_decay),
          .beta1 = static_cast<float>(params.beta1),
          .one_minus_beta1 = static_cast<float>(1 - params.beta1),
          .beta2 = static_cast<float>(params.beta2),
          .one_minus_beta2 = static_cast<float>(1 - params.beta2),
          .step_size = static_cast<float>(rate / (1 - pow(params.beta1, k + 1))),
          .second_correction = static_cast<float>(1 / (1 - pow(params.beta2, k + 1))),
          .eps = static_cast<float>(params.eps),
          .ema = static_cast<float>(ema),
          .one_minus_ema = static_cast<float>(1 - ema)};
}

// Math: norm = sqrt(sum of squares[block]); then the factors that depend on it and on the step, in double.
// Threads: one block.
// Shared: 128 bytes.
__global__ void __launch_bounds__(kThreads)
    factors_kernel(AdamParams params, int blocks, const int64_t* __restrict__ step, Scratch* scratch,
                   float* __restrict__ gradient_norm, float* __restrict__ learning_rate) {
  Shared& shared = block_shared<Shared>();
  float sum = 0;
  for (int block = static_cast<int>(threadIdx.x); block < blocks; block += kThreads)
    sum += scratch->squares[block];
  sum = block_reduce(sum, Sum{}, shared.scratch);
  if (threadIdx.x != 0) return;
  const double norm = sqrt(static_cast<double>(sum));
  const auto k = static_cast<double>(*step);
  scratch->factors = factors_of(params, k, norm);
  *gradient_norm = static_cast<float>(norm);
  *learning_rate = static_cast<float>(learning_rate_of(params, k));
}

// Math: kernels/adam_ema.h.
// Threads: one vector each, five loads in flight.
// Shared: none.
// Traffic: reads g, w, m, v, ema; writes w, m, v, ema and the bf16 copy: 38 bytes per element. 20
// FLOPs per element.
// Preconditions: count is a multiple of 4.
__global__ void __launch_bounds__(kThreads)
    update_kernel(int64_t count, const Factors* __restrict__ factors, const float* __restrict__ gradients,
                  float* __restrict__ parameters, float* __restrict__ first, float* __restrict__ second,
                  float* __restrict__ average, BFloat16* __restrict__ compute_weights) {
  const int64_t at = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) * kWidth;
  if (at >= count) return;
  float g[kWidth], w[kWidth], m[kWidth], v[kWidth], ema[kWidth];
  load_floats(gradients + at, g, CacheHint::kStreaming);
  load_floats(parameters + at, w, CacheHint::kStreaming);
  load_floats(first + at, m, CacheHint::kStreaming);
  load_floats(second + at, v, CacheHint::kStreaming);
  load_floats(average + at, ema, CacheHint::kStreaming);
  const Factors f = *factors;
#pragma unroll
  for (int k = 0; k < kWidth; ++k) {
    const float gradient = f.clip * g[k];
    m[k] = f.beta1 * m[k] + f.one_minus_beta1 * gradient;
    v[k] = f.beta2 * v[k] + f.one_minus_beta2 * gradient * gradient;
    w[k] -= f.decay * w[k];
    w[k] -= f.step_size * m[k] / (sqrtf(f.second_correction * v[k]) + f.eps);
    ema[k] = f.ema * ema[k] + f.one_minus_ema * w[k];
  }
  store_floats(parameters + at, w, CacheHint::kStreaming);
  store_floats(first + at, m, CacheHint::kStreaming);
  store_floats(second + at, v, CacheHint::kStreaming);
  store_floats(average + at, ema, CacheHint::kStreaming);
  if (compute_weights != nullptr) store_columns<kWidth>(compute_weights + at, w);
}

}  // namespace

size_t adam_ema_scratch_bytes(const AdamParams&) { return sizeof(Scratch); }

void adam_ema(const AdamParams& params, const AdamEmaArgs<float>& args, BFloat16* compute_weights,
              void* scratch, StreamView stream) {
  require_multiple("adam_ema", "number of parameters", params.count, kWidth);
  auto* memory = static_cast<Scratch*>(scratch);
  const int blocks = norm_blocks(params.count);
  launch(sum_of_squares_kernel, {.grid = blocks, .block = kThreads, .stream = stream}, params.count,
         args.gradients, memory->squares);
  launch(factors_kernel, {.grid = 1, .block = kThreads, .stream = stream}, params, blocks, args.step, memory,
         args.gradient_norm, args.learning_rate);
  launch(update_kernel,
         {.grid = ceil_div(params.count, kThreads * kWidth), .block = kThreads, .stream = stream},
         params.count, &memory->factors, args.gradients, args.parameters, args.m, args.v, args.ema,
         compute_weights);
}

}  // namespace ddpm::cuda
