#include "bench/kernels/naive_kernels.h"

#include "device/launch.h"
#include "device/reduce.h"
#include "device/shared_memory.h"
#include "kernels/permutation.h"
#include "kernels/random.h"

namespace ddpm::naive {
namespace {

constexpr int kThreads = 256;

struct Shared {
  BlockReduceScratch<float> scratch;
};

__device__ int64_t thread_index() { return static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; }

LaunchConfig one_thread_each(int64_t count, StreamView stream) {
  return {.grid = ceil_div(count, kThreads), .block = kThreads, .stream = stream};
}

__global__ void diffuse_kernel(int64_t count, int64_t image_elements, int n, uint64_t seed, uint64_t images,
                               DiffuseArgs<BFloat16, float> args) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const int64_t image = i / image_elements, e = i % image_elements;
  const uint64_t position = static_cast<uint64_t>(*args.step * n + image);
  const int t = static_cast<int>(args.t[image]);
  const float pixel = args.dataset[shuffled_image(seed, position, images) * image_elements + e];
  const float eps = normal(random_key(seed, RandomStream::kNoise), position, static_cast<uint64_t>(e));
  args.x_t[i] = to_bfloat16(args.signal[t] * (pixel / 127.5f - 1) + args.noise[t] * eps);
}

__global__ void loss_kernel(int64_t image_elements, int n, uint64_t seed, LossArgs<BFloat16, float> args) {
  Shared& shared = block_shared<Shared>();
  const int64_t image = blockIdx.x;
  const uint64_t position = static_cast<uint64_t>(*args.step * n + image);
  float sum = 0;
  for (int64_t e = threadIdx.x; e < image_elements; e += kThreads) {
    const float eps = normal(random_key(seed, RandomStream::kNoise), position, static_cast<uint64_t>(e));
    const float error = to_float(args.prediction[image * image_elements + e]) - eps;
    args.dprediction[image * image_elements + e] =
        to_bfloat16(2 * error / static_cast<float>(image_elements) / static_cast<float>(n));
    sum += error * error;
  }
  sum = block_reduce(sum, Sum{}, shared.scratch);
  if (threadIdx.x == 0) args.image_loss[image] = sum / static_cast<float>(image_elements);
}

__global__ void adam_kernel(AdamParams s, AdamEmaArgs<float> args) {
  const int64_t i = thread_index();
  if (i >= s.count) return;
  const float g = args.gradients[i];
  const auto beta1 = static_cast<float>(s.beta1), beta2 = static_cast<float>(s.beta2);
  const auto steps = static_cast<float>(*args.step + 1);
  args.m[i] = beta1 * args.m[i] + (1 - beta1) * g;
  args.v[i] = beta2 * args.v[i] + (1 - beta2) * g * g;
  const float mhat = args.m[i] / (1 - powf(beta1, steps));
  const float vhat = args.v[i] / (1 - powf(beta2, steps));
  args.parameters[i] -=
      static_cast<float>(s.learning_rate) * mhat / (sqrtf(vhat) + static_cast<float>(s.eps));
}

__global__ void average_kernel(int64_t count, float decay, const float* parameters, float* ema) {
  const int64_t i = thread_index();
  if (i < count) ema[i] = decay * ema[i] + (1 - decay) * parameters[i];
}

__global__ void copy_kernel(int64_t count, const float* parameters, BFloat16* compute_weights) {
  const int64_t i = thread_index();
  if (i < count) compute_weights[i] = to_bfloat16(parameters[i]);
}

__global__ void sampler_kernel(int64_t count, int64_t image_elements, uint64_t seed,
                               SamplerStepArgs<BFloat16, float> args) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const SamplerRow<float>& row = args.table[*args.index];
  const auto sample = static_cast<uint64_t>(*args.first_image + i / image_elements);
  const float estimate = row.x0_from_x * args.x[i] + row.x0_from_output * to_float(args.output[i]);
  const float x0 = fminf(fmaxf(estimate, -row.clip_range), row.clip_range);
  const RandomKey key = random_key(seed, RandomStream::kSampler, static_cast<uint32_t>(*args.index));
  const float z = normal(key, sample, static_cast<uint64_t>(i % image_elements));
  args.x[i] = row.x.x * args.x[i] + row.x.x0 * x0 + row.noise * z;
  args.network_input[i] = to_bfloat16(args.x[i]);
}

__global__ void softmax_kernel(int length, float scale, const BFloat16* x, BFloat16* p) {
  Shared& shared = block_shared<Shared>();
  const int64_t row = static_cast<int64_t>(blockIdx.x) * length;
  float largest = -__builtin_huge_valf();
  for (int i = static_cast<int>(threadIdx.x); i < length; i += kThreads)
    largest = fmaxf(largest, scale * to_float(x[row + i]));
  largest = block_reduce(largest, Max{}, shared.scratch);
  float sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < length; i += kThreads)
    sum += expf(scale * to_float(x[row + i]) - largest);
  sum = block_reduce(sum, Sum{}, shared.scratch);
  for (int i = static_cast<int>(threadIdx.x); i < length; i += kThreads)
    p[row + i] = to_bfloat16(expf(scale * to_float(x[row + i]) - largest) / sum);
}

__global__ void softmax_backward_kernel(int length, float scale, SoftmaxBackwardArgs<BFloat16> args) {
  Shared& shared = block_shared<Shared>();
  const int64_t row = static_cast<int64_t>(blockIdx.x) * length;
  float dot = 0;
  for (int i = static_cast<int>(threadIdx.x); i < length; i += kThreads)
    dot += to_float(args.p[row + i]) * to_float(args.dp[row + i]);
  dot = block_reduce(dot, Sum{}, shared.scratch);
  for (int i = static_cast<int>(threadIdx.x); i < length; i += kThreads)
    args.dx[row + i] = to_bfloat16(scale * to_float(args.p[row + i]) * (to_float(args.dp[row + i]) - dot));
}

__global__ void guidance_kernel(int64_t count, float scale, GuidanceArgs<BFloat16> args) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const float conditional = to_float(args.outputs[i]), unconditional = to_float(args.outputs[count + i]);
  args.y[i] = to_bfloat16(unconditional + scale * (conditional - unconditional));
}

// 24 halvings: a float's precision.
__global__ void threshold_kernel(int64_t image_elements, float ratio, float max_value,
                                 DynamicThresholdArgs<BFloat16, float> args) {
  Shared& shared = block_shared<Shared>();
  const SamplerRow<float>& row = args.table[*args.index];
  const int64_t image = static_cast<int64_t>(blockIdx.x) * image_elements;
  float low = 0, high = max_value;
  for (int halving = 0; halving < 24; ++halving) {
    const float middle = 0.5f * (low + high);
    float below = 0;
    for (int64_t i = image + threadIdx.x; i < image + image_elements; i += kThreads)
      below +=
          fabsf(row.x0_from_x * args.x[i] + row.x0_from_output * to_float(args.output[i])) < middle ? 1 : 0;
    below = block_reduce(below, Sum{}, shared.scratch);
    (below < ratio * static_cast<float>(image_elements) ? low : high) = middle;
  }
  if (threadIdx.x == 0) args.threshold[blockIdx.x] = fmaxf(low, 1);
}

__global__ void time_embedding_kernel(int64_t count, TimeEmbeddingParams s,
                                      TimeEmbeddingArgs<BFloat16, float> args) {
  const int64_t i = thread_index();
  if (i >= count) return;
  const int half = s.channels / 2, column = static_cast<int>(i % s.channels);
  const int k = column % half;
  const float frequency = expf(-logf(static_cast<float>(s.max_period)) * static_cast<float>(k) /
                               (static_cast<float>(half) - static_cast<float>(s.frequency_shift)));
  const float angle = args.t[i / s.channels] * frequency;
  args.y[i] = to_bfloat16(column < half ? sinf(angle) : cosf(angle));
}

}  // namespace

void diffuse(const DiffusionParams& params, const DiffuseArgs<BFloat16, float>& args, StreamView stream) {
  launch(diffuse_kernel, one_thread_each(params.elements(), stream), params.elements(),
         params.image_elements(), params.n, params.seed, params.dataset_count, args);
}

void loss(const DiffusionParams& params, const LossArgs<BFloat16, float>& args, StreamView stream) {
  launch(loss_kernel, {.grid = params.n, .block = kThreads, .stream = stream}, params.image_elements(),
         params.n, params.seed, args);
}

void adam_ema(const AdamParams& params, const AdamEmaArgs<float>& args, BFloat16* compute_weights,
              StreamView stream) {
  const LaunchConfig config = one_thread_each(params.count, stream);
  launch(adam_kernel, config, params, args);
  launch(average_kernel, config, params.count, params.ema_decay, args.parameters, args.ema);
  launch(copy_kernel, config, params.count, args.parameters, compute_weights);
}

void sampler_step(const SamplerStepParams& params, const SamplerStepArgs<BFloat16, float>& args,
                  StreamView stream) {
  launch(sampler_kernel, one_thread_each(params.elements(), stream), params.elements(),
         params.image_elements(), params.seed, args);
}

void softmax(const SoftmaxParams& params, const SoftmaxArgs<BFloat16>& args, StreamView stream) {
  launch(softmax_kernel, {.grid = params.rows, .block = kThreads, .stream = stream}, params.length,
         params.scale, args.x, args.p);
}

void softmax_backward(const SoftmaxParams& params, const SoftmaxBackwardArgs<BFloat16>& args,
                      StreamView stream) {
  launch(softmax_backward_kernel, {.grid = params.rows, .block = kThreads, .stream = stream}, params.length,
         params.scale, args);
}

void dynamic_threshold(const DynamicThresholdParams& params,
                       const DynamicThresholdArgs<BFloat16, float>& args, StreamView stream) {
  launch(threshold_kernel, {.grid = params.step.n, .block = kThreads, .stream = stream},
         params.step.image_elements(), params.ratio, params.max_value, args);
}

void guidance(const GuidanceParams& params, const GuidanceArgs<BFloat16>& args, StreamView stream) {
  launch(guidance_kernel, one_thread_each(params.elements(), stream), params.elements(), params.scale, args);
}

void time_embedding(const TimeEmbeddingParams& params, const TimeEmbeddingArgs<BFloat16, float>& args,
                    StreamView stream) {
  const int64_t count = int64_t{params.n} * params.channels;
  launch(time_embedding_kernel, one_thread_each(count, stream), count, params, args);
}

}  // namespace ddpm::naive
