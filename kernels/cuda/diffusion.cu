// Both ends of a training step: x_t = a x0 + s eps, and the squared error of the model output. Both draw the
// noise from the same counters, so it is never stored.
#include <cstdint>

#include "device/launch.h"
#include "device/reduce.h"
#include "device/shared_memory.h"
#include "kernels/cuda/check_arguments.h"
#include "kernels/cuda/columns.h"
#include "kernels/cuda/kernels.h"
#include "kernels/random.h"

namespace ddpm::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kElements = 8;  // per thread: one vector of bf16, two blocks of the random generator
constexpr int kChunk = kThreads * kElements;

// Random draws of one image, except its noise.
struct Draw {
  int64_t row;   // in the array that images are read from
  int64_t flip;  // 0 or 1
};

// The parameters that the kernel needs.
struct Batch {
  int n;
  int elements;  // of an image
  int width;
  int channels;
  int timesteps;
  bool is_antithetic;
  bool may_flip;
  DatasetRows rows;
  uint64_t seed;
  int64_t dataset_count;
};

Batch batch_of(const DiffusionParams& params) {
  require_in_range("diffusion", "number of elements per image", params.image_elements(), 1, 1 << 30);
  return {.n = params.n,
          .elements = static_cast<int>(params.image_elements()),
          .width = params.w,
          .channels = params.c,
          .timesteps = params.timesteps,
          .is_antithetic = params.draw == TimestepDraw::kAntithetic,
          .may_flip = params.horizontal_flip,
          .rows = params.rows,
          .seed = params.seed,
          .dataset_count = params.dataset_count};
}

// Position of the image in the run's stream of images.
__device__ __forceinline__ uint64_t position_of(const Batch& batch, int64_t step, int image) {
  return static_cast<uint64_t>(step) * static_cast<uint64_t>(batch.n) + static_cast<uint64_t>(image);
}

__device__ int timestep_of(const Batch& batch, uint64_t position) {
  const uint64_t drawn_at = batch.is_antithetic ? position - position % 2 : position;
  const uint32_t bits = random_bits(random_key(batch.seed, RandomStream::kTimestep), drawn_at);
  const int t = static_cast<int>(uniform_below(bits, static_cast<uint32_t>(batch.timesteps)));
  return drawn_at == position ? t : batch.timesteps - 1 - t;
}

// Math: each image's row, flip and timestep (kernels/diffusion.h). A kernel of its own, because the
// permutation takes thousands of instructions: it runs once per image here, and in every block it would cost
// as much as the block's noise.
// Threads: one per image.
// Shared: none.
// Preconditions: none; t and index may be null.
__global__ void __launch_bounds__(kThreads)
    draw_kernel(Batch batch, const int64_t* __restrict__ step, Draw* __restrict__ draws,
                float* __restrict__ t, int64_t* __restrict__ index) {
  const int image = static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x);
  if (image >= batch.n) return;
  const uint64_t position = position_of(batch, *step, image);
  const uint32_t coin = random_bits(random_key(batch.seed, RandomStream::kFlip), position);
  const bool are_rows_of_batch = batch.rows == DatasetRows::kBatchImages;
  int64_t row = image;
  if (!are_rows_of_batch || index != nullptr) {
    const int64_t drawn = image_of_batch(batch.seed, batch.n, batch.dataset_count, *step, image);
    if (!are_rows_of_batch) row = drawn;
    if (index != nullptr) index[image] = drawn;
  }
  draws[image] = {.row = row, .flip = batch.may_flip && bernoulli(coin, 0.5f) ? 1 : 0};
  if (t != nullptr) t[image] = static_cast<float>(timestep_of(batch, position));
}

// x0[k] of elements first + k, as far as the image has them; a flipped image is read from right to left.
__device__ __forceinline__ void load_pixels(const Batch& batch, const uint8_t* __restrict__ dataset,
                                            const Draw& draw, int first, float (&x0)[kElements]) {
  const uint8_t* pixels = dataset + draw.row * batch.elements;
  int channel = first % batch.channels;
  int column = first / batch.channels % batch.width;
#pragma unroll
  for (int k = 0; k < kElements; ++k) {
    const int mirror = draw.flip != 0 ? (batch.width - 1 - 2 * column) * batch.channels : 0;
    const int value = first + k < batch.elements ? pixels[first + k + mirror] : 0;
    x0[k] =
        static_cast<float>(2 * value - 255) * (1.0f / 255.0f);  // value / 127.5 - 1, rounded once or twice
    if (++channel == batch.channels) {
      channel = 0;
      if (++column == batch.width) column = 0;
    }
  }
}

__device__ __forceinline__ void draw_noise(const Batch& batch, uint64_t position, int first,
                                           float (&eps)[kElements]) {
  const RandomKey key = random_key(batch.seed, RandomStream::kNoise);
#pragma unroll
  for (int k = 0; k < kElements; k += 4) {
    const F32x4 z = normal4(key, position, static_cast<uint32_t>((first + k) / 4));
#pragma unroll
    for (int l = 0; l < 4; ++l) eps[k + l] = z[l];
  }
}

// Math: x_t[n,e] = signal[t] x0[n,e] + noise[t] eps[n,e].
// Threads: (chunks of 1024 elements, image); each thread has 8 adjacent elements.
// Shared: none.
// Traffic: reads one byte and writes one element per element. About 60 operations per element, most of them
// the integer arithmetic of the random numbers.
// Preconditions: kWidth divides the elements of an image.
template <int kWidth, typename T>
__global__ void __launch_bounds__(kThreads)
    diffuse_kernel(Batch batch, const uint8_t* __restrict__ dataset, const float* __restrict__ signal,
                   const float* __restrict__ noise, const int64_t* __restrict__ step,
                   const Draw* __restrict__ draws, const float* __restrict__ t, T* __restrict__ x_t) {
  const int image = static_cast<int>(blockIdx.y);
  const int first = static_cast<int>(blockIdx.x) * kChunk + static_cast<int>(threadIdx.x) * kElements;
  if (first >= batch.elements) return;
  float x[kElements];
  load_pixels(batch, dataset, draws[image], first, x);
  const int time = static_cast<int>(t[image]);
  const float a = signal[time];
  const float s = noise[time];
  float eps[kElements];
  draw_noise(batch, position_of(batch, *step, image), first, eps);
#pragma unroll
  for (int k = 0; k < kElements; ++k) x[k] = a * x[k] + s * eps[k];
  T* to = x_t + static_cast<int64_t>(image) * batch.elements + first;
#pragma unroll
  for (int k = 0; k < kElements; k += kWidth)
    if (first + k < batch.elements) store_columns<kWidth>(to + k, subarray<kWidth>(x, k));
}

// The training target: what the model output should be.
__device__ __forceinline__ void target_of(const Batch& batch, Prediction prediction,
                                          const uint8_t* __restrict__ dataset, const Draw* __restrict__ draws,
                                          uint64_t position, int image, int first, float a, float s,
                                          float (&target)[kElements]) {
  if (prediction == Prediction::kEpsilon) {
    draw_noise(batch, position, first, target);
    return;
  }
  load_pixels(batch, dataset, draws[image], first, target);
  if (prediction == Prediction::kSample) return;
  float eps[kElements];
  draw_noise(batch, position, first, eps);
#pragma unroll
  for (int k = 0; k < kElements; ++k) target[k] = a * eps[k] - s * target[k];
}

// Factors of the loss shared by the whole batch.
struct LossFactors {
  float value;     // of an image's loss: 1 / elements for the mean, 1 for the sum
  float gradient;  // 2 value / n
};

struct Shared {
  BlockReduceScratch<float> scratch;
};

// Math: dprediction[n,e] = gradient weight[t] (prediction[n,e] - target[n,e]);
//   partial[n,chunk] = sum over the chunk of (prediction[n,e] - target[n,e])^2.
// Threads: as in diffuse_kernel; a block adds its threads' sums in a fixed order.
// Shared: 128 bytes.
// Traffic: prediction and dprediction once, and the image's bytes if the target needs them.
// Preconditions: as in diffuse_kernel.
template <int kWidth, typename T>
__global__ void __launch_bounds__(kThreads)
    loss_kernel(Batch batch, Prediction kind, LossFactors factors, const T* __restrict__ prediction,
                const uint8_t* __restrict__ dataset, const float* __restrict__ signal,
                const float* __restrict__ noise, const float* __restrict__ weight,
                const float* __restrict__ t, const int64_t* __restrict__ step, const Draw* __restrict__ draws,
                T* __restrict__ dprediction, float* __restrict__ partial) {
  Shared& shared = block_shared<Shared>();
  const int image = static_cast<int>(blockIdx.y);
  const int first = static_cast<int>(blockIdx.x) * kChunk + static_cast<int>(threadIdx.x) * kElements;
  float sum = 0;
  if (first < batch.elements) {
    const int64_t at = static_cast<int64_t>(image) * batch.elements + first;
    float error[kElements];
#pragma unroll
    for (int k = 0; k < kElements; k += kWidth)
      if (first + k < batch.elements) load_columns<kWidth>(prediction + at + k, subarray<kWidth>(error, k));
    const int time = static_cast<int>(t[image]);
    float target[kElements];
    target_of(batch, kind, dataset, draws, position_of(batch, *step, image), image, first, signal[time],
              noise[time], target);
#pragma unroll
    for (int k = 0; k < kElements; ++k) {
      error[k] = first + k < batch.elements ? error[k] - target[k] : 0.0f;
      sum += error[k] * error[k];
    }
    const float gradient = weight != nullptr ? factors.gradient * weight[time] : factors.gradient;
#pragma unroll
    for (int k = 0; k < kElements; ++k) error[k] *= gradient;
#pragma unroll
    for (int k = 0; k < kElements; k += kWidth)
      if (first + k < batch.elements) store_columns<kWidth>(dprediction + at + k, subarray<kWidth>(error, k));
  }
  sum = block_reduce(sum, Sum{}, shared.scratch);
  if (threadIdx.x == 0) partial[static_cast<int64_t>(image) * gridDim.x + blockIdx.x] = sum;
}

// Math: image_loss[n] = value weight[t] (sum over chunks of partial[n,chunk]).
// Threads: one warp per image.
// Shared: none.
// Traffic: the partial sums.
__global__ void __launch_bounds__(kThreads)
    combine_loss_kernel(int n, int chunks, float value, const float* __restrict__ weight,
                        const float* __restrict__ t, const float* __restrict__ partial,
                        float* __restrict__ image_loss) {
  const int lane = static_cast<int>(threadIdx.x) % kWarpSize;
  const int image = static_cast<int>(blockIdx.x * kThreads + threadIdx.x) / kWarpSize;
  float sum = 0;
  if (image < n) {
    for (int chunk = lane; chunk < chunks; chunk += kWarpSize)
      sum += partial[static_cast<int64_t>(image) * chunks + chunk];
  }
  sum = warp_reduce(sum, Sum{});
  if (image >= n || lane != 0) return;
  image_loss[image] = value * (weight != nullptr ? weight[static_cast<int>(t[image])] : 1.0f) * sum;
}

int64_t chunks_of(const DiffusionParams& params) { return ceil_div(params.image_elements(), kChunk); }

void launch_draws(const Batch& batch, const int64_t* step, Draw* draws, float* t, int64_t* index,
                  StreamView stream) {
  launch(draw_kernel, {.grid = ceil_div(batch.n, kThreads), .block = kThreads, .stream = stream}, batch, step,
         draws, t, index);
}

}  // namespace

size_t diffuse_scratch_bytes(const DiffusionParams& params) {
  return static_cast<size_t>(params.n) * sizeof(Draw);
}

template <typename T>
void diffuse(const DiffusionParams& params, const DiffuseArgs<T, float>& args, void* scratch,
             StreamView stream) {
  const Batch batch = batch_of(params);
  auto* draws = static_cast<Draw*>(scratch);
  launch_draws(batch, args.step, draws, args.t, args.index, stream);
  with_width<Packed<T>::kWidth>(batch.elements, [&](auto width) {
    launch(diffuse_kernel<width(), T>,
           {.grid = {chunks_of(params), params.n}, .block = kThreads, .stream = stream}, batch, args.dataset,
           args.signal, args.noise, args.step, draws, args.t, args.x_t);
  });
}

// The draws, then the sums of the chunks.
size_t loss_scratch_bytes(const DiffusionParams& params) {
  return static_cast<size_t>(params.n) *
         (sizeof(Draw) + static_cast<size_t>(chunks_of(params)) * sizeof(float));
}

template <typename T>
void loss(const DiffusionParams& params, const LossArgs<T, float>& args, void* scratch, StreamView stream) {
  const Batch batch = batch_of(params);
  auto* draws = static_cast<Draw*>(scratch);
  auto* partial = reinterpret_cast<float*>(draws + params.n);
  const double value = params.reduction == LossReduction::kMean ? 1.0 / batch.elements : 1.0;
  const LossFactors factors{.value = static_cast<float>(value),
                            .gradient = static_cast<float>(2 * value / params.n)};
  if (params.prediction != Prediction::kEpsilon)
    launch_draws(batch, args.step, draws, nullptr, nullptr, stream);
  with_width<Packed<T>::kWidth>(batch.elements, [&](auto width) {
    launch(loss_kernel<width(), T>,
           {.grid = {chunks_of(params), params.n}, .block = kThreads, .stream = stream}, batch,
           params.prediction, factors, args.prediction, args.dataset, args.signal, args.noise, args.weight,
           args.t, args.step, draws, args.dprediction, partial);
  });
  launch(combine_loss_kernel,
         {.grid = ceil_div(int64_t{params.n} * kWarpSize, kThreads), .block = kThreads, .stream = stream},
         params.n, chunks_of(params), factors.value, args.weight, args.t, partial, args.image_loss);
}

template void diffuse(const DiffusionParams&, const DiffuseArgs<float, float>&, void*, StreamView);
template void diffuse(const DiffusionParams&, const DiffuseArgs<BFloat16, float>&, void*, StreamView);
template void loss(const DiffusionParams&, const LossArgs<float, float>&, void*, StreamView);
template void loss(const DiffusionParams&, const LossArgs<BFloat16, float>&, void*, StreamView);

}  // namespace ddpm::cuda
