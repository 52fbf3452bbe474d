// The start of sampling and its step. Every sampler is the same kernel: a row of the coefficient table says
// which terms a step has.
#include <cstdint>

#include "device/launch.h"
#include "kernels/cuda/check_arguments.h"
#include "kernels/cuda/columns.h"
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/x0_estimate.h"
#include "kernels/random.h"

namespace ddpm::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kElements = 4;  // per thread: one vector of the float state, one block of the random generator

// Position of a thread's elements.
struct Place {
  __device__ explicit Place(int elements)
      : image(static_cast<int>(blockIdx.y)),
        first((static_cast<int>(blockIdx.x) * kThreads + static_cast<int>(threadIdx.x)) * kElements),
        at(static_cast<int64_t>(image) * elements + first) {}
  int image;
  int first;   // in the image
  int64_t at;  // in the batch
};

// The elements from `place` on, as far as the image has them, in accesses of kWidth elements.
template <int kWidth, typename T>
__device__ __forceinline__ void load(const T* from, const Place& place, int elements,
                                     float (&to)[kElements]) {
#pragma unroll
  for (int k = 0; k < kElements; k += kWidth)
    if (place.first + k < elements) load_columns<kWidth>(from + place.at + k, subarray<kWidth>(to, k));
}

template <int kWidth, typename T>
__device__ __forceinline__ void store(T* to, const Place& place, int elements, float (&from)[kElements]) {
#pragma unroll
  for (int k = 0; k < kElements; k += kWidth)
    if (place.first + k < elements) store_columns<kWidth>(to + place.at + k, subarray<kWidth>(from, k));
}

// The network's next input: the batch, repeated once per copy.
struct Copies {
  int count;
  int n;           // images of the batch
  int64_t stride;  // elements of the batch
};

template <int kWidth, typename T>
__device__ __forceinline__ void store_copies(const Copies& copies, T* to, const Place& place, int elements,
                                             float (&from)[kElements]) {
  for (int copy = 0; copy < copies.count; ++copy)
    store<kWidth>(to + copy * copies.stride, place, elements, from);
}

__device__ __forceinline__ void store_timestep(const Copies& copies, float* t, const Place& place,
                                               float timestep) {
  for (int copy = 0; copy < copies.count; ++copy) t[copy * copies.n + place.image] = timestep;
}

// Math: x[n,e] = deviation z[n,e], and the same to network_input; t[n] = the timestep of the first row.
// Threads: (vectors of an image, image), four elements each.
// Shared: none.
// Traffic: writes both arrays once.
// Preconditions: kWidth divides the elements of an image.
template <int kWidth, typename T>
__global__ void __launch_bounds__(kThreads)
    start_kernel(int elements, Copies copies, float deviation, uint64_t seed,
                 const SamplerRow<float>* __restrict__ table, const int64_t* __restrict__ first_image,
                 float* __restrict__ x, T* __restrict__ network_input, float* __restrict__ t) {
  const Place place(elements);
  if (place.first == 0) store_timestep(copies, t, place, table->timestep);
  if (place.first >= elements) return;
  const RandomKey key = random_key(seed, RandomStream::kInitialNoise);
  F32x4 z = normal4(key, static_cast<uint64_t>(*first_image + place.image),
                    static_cast<uint32_t>(place.first / kElements));
#pragma unroll
  for (int k = 0; k < kElements; ++k) z.v[k] *= deviation;
  store<kWidth>(x, place, elements, z.v);
  store_copies<kWidth>(copies, network_input, place, elements, z.v);
}

// The terms that the results of a step combine.
struct Terms {
  float x[kElements];
  float output[kElements];
  float x0[kElements];
  float memory[kSamplerMemories][kElements];
};

// Skips terms with weight 0: their values may be uninitialized.
__device__ __forceinline__ void add_term(float weight, const float (&term)[kElements],
                                         float (&sum)[kElements]) {
  if (weight == 0) return;
#pragma unroll
  for (int k = 0; k < kElements; ++k) sum[k] += weight * term[k];
}

__device__ __forceinline__ void combine(const SamplerWeights<float>& weights, const Terms& terms,
                                        float (&sum)[kElements]) {
#pragma unroll
  for (int k = 0; k < kElements; ++k) sum[k] = 0;
  add_term(weights.x, terms.x, sum);
  add_term(weights.output, terms.output, sum);
  add_term(weights.x0, terms.x0, sum);
#pragma unroll
  for (int i = 0; i < kSamplerMemories; ++i) add_term(weights.memory[i], terms.memory[i], sum);
}

__device__ __forceinline__ bool is_zero(const SamplerWeights<float>& weights) {
  return weights.x == 0 && weights.output == 0 && weights.x0 == 0 && weights.memory[0] == 0 &&
         weights.memory[1] == 0 && weights.memory[2] == 0;
}

__device__ __forceinline__ bool reads_memory(const SamplerRow<float>& row, int i) {
  return row.x.memory[i] != 0 || row.memory[0].memory[i] != 0 || row.memory[1].memory[i] != 0 ||
         row.memory[2].memory[i] != 0;
}

// Keeps NaN, which fminf and fmaxf would turn into the limit.
__device__ __forceinline__ float clip(float value, float limit) {
  return value < -limit ? -limit : (value > limit ? limit : value);
}

// The part of the shape that the kernel needs.
struct Step {
  int elements;  // of an image
  int channels;
  int steps;
  int memories;
  int64_t memory_stride;  // elements of the batch
  Copies copies;
  SamplerOutput output;
  uint64_t seed;
};

// The model output and, if the variance is learned, the factor of row.noise.
template <int kWidth, typename T>
__device__ __forceinline__ void load_answer(const Step& step, const Place& place, float noise_range,
                                            const T* __restrict__ output, float (&prediction)[kElements],
                                            float (&deviation)[kElements]) {
  if (step.output == SamplerOutput::kMean) {
    load<kWidth>(output, place, step.elements, prediction);
#pragma unroll
    for (int k = 0; k < kElements; ++k) deviation[k] = 1;
    return;
  }
#pragma unroll
  for (int k = 0; k < kElements; ++k) {
    if (place.first + k >= step.elements) break;
    const int64_t at = mean_index(place.image, place.first + k, step.elements, step.channels);
    prediction[k] = to_float(output[at]);
    deviation[k] = expf(noise_range * (to_float(output[at + step.channels]) + 1) * 0.5f);
  }
}

// Math: kernels/sampler_step.h.
// Threads: (vectors of an image, image), four elements each. All threads take the same branches on the row.
// Shared: none.
// Traffic: reads x, output and the history that the row refers to; writes x, network_input and the history
// that it sets, each once. About 40 operations per element where noise is drawn.
// Preconditions: kWidth divides the elements of an image.
template <int kWidth, typename T>
__global__ void __launch_bounds__(kThreads)
    step_kernel(Step step, const T* __restrict__ output, const SamplerRow<float>* __restrict__ table,
                const int64_t* __restrict__ index, const int64_t* __restrict__ first_image,
                float* __restrict__ x, float* __restrict__ memory, const float* __restrict__ threshold,
                T* __restrict__ network_input, float* __restrict__ t) {
  const Place place(step.elements);
  const int64_t at = *index;
  const SamplerRow<float>& row = table[at];
  if (place.first == 0 && at + 1 < step.steps) store_timestep(step.copies, t, place, table[at + 1].timestep);
  if (place.first >= step.elements) return;

  Terms terms;
  float deviation[kElements];
  load<kWidth>(x, place, step.elements, terms.x);
  load_answer<kWidth>(step, place, row.noise_range, output, terms.output, deviation);
#pragma unroll
  for (int i = 0; i < kSamplerMemories; ++i)
    if (i < step.memories && reads_memory(row, i))
      load<kWidth>(memory + i * step.memory_stride, place, step.elements, terms.memory[i]);

  const float limit = threshold != nullptr ? threshold[place.image] : row.clip_range;
#pragma unroll
  for (int k = 0; k < kElements; ++k) {
    terms.x0[k] = clip(x0_estimate(row, terms.x[k], terms.output[k]), limit);
    if (threshold != nullptr) terms.x0[k] /= limit;
  }

  float next[kElements];
#pragma unroll
  for (int i = 0; i < kSamplerMemories; ++i) {
    if (i >= step.memories || is_zero(row.memory[i])) continue;
    combine(row.memory[i], terms, next);
    store<kWidth>(memory + i * step.memory_stride, place, step.elements, next);
  }
  combine(row.x, terms, next);
  if (row.noise != 0) {
    const RandomKey key = random_key(step.seed, RandomStream::kSampler, static_cast<uint32_t>(at));
    const F32x4 z = normal4(key, static_cast<uint64_t>(*first_image + place.image),
                            static_cast<uint32_t>(place.first / kElements));
#pragma unroll
    for (int k = 0; k < kElements; ++k) next[k] += row.noise * deviation[k] * z[k];
  }
  store<kWidth>(x, place, step.elements, next);
  store_copies<kWidth>(step.copies, network_input, place, step.elements, next);
}

Copies copies_of(const SamplerStepShape& shape) {
  return {.count = shape.copies, .n = shape.n, .stride = shape.elements()};
}

LaunchConfig blocks_over_images(const SamplerStepShape& shape, StreamView stream) {
  require_in_range("sampler_step", "number of elements per image", shape.image_elements(), 1, 1 << 30);
  return {.grid = {ceil_div(shape.image_elements(), kThreads * kElements), shape.n},
          .block = kThreads,
          .stream = stream};
}

}  // namespace

template <typename T>
void sampler_start(const SamplerStepShape& shape, const SamplerStartArgs<T, float>& args, StreamView stream) {
  with_width<kElements>(shape.image_elements(), [&](auto width) {
    launch(start_kernel<width(), T>, blocks_over_images(shape, stream), shape.image_elements(),
           copies_of(shape), shape.start_deviation, shape.seed, args.table, args.first_image, args.x,
           args.network_input, args.t);
  });
}

template <typename T>
void sampler_step(const SamplerStepShape& shape, const SamplerStepArgs<T, float>& args, StreamView stream) {
  require_in_range("sampler_step", "number of history tensors", shape.memories, 0, kSamplerMemories);
  const Step step{.elements = static_cast<int>(shape.image_elements()),
                  .channels = shape.c,
                  .steps = shape.steps,
                  .memories = shape.memories,
                  .memory_stride = shape.elements(),
                  .copies = copies_of(shape),
                  .output = shape.output,
                  .seed = shape.seed};
  with_width<kElements>(shape.image_elements(), [&](auto width) {
    launch(step_kernel<width(), T>, blocks_over_images(shape, stream), step, args.output, args.table,
           args.index, args.first_image, args.x, args.memory, args.threshold, args.network_input, args.t);
  });
}

template void sampler_start(const SamplerStepShape&, const SamplerStartArgs<float, float>&, StreamView);
template void sampler_start(const SamplerStepShape&, const SamplerStartArgs<BFloat16, float>&, StreamView);
template void sampler_step(const SamplerStepShape&, const SamplerStepArgs<float, float>&, StreamView);
template void sampler_step(const SamplerStepShape&, const SamplerStepArgs<BFloat16, float>&, StreamView);

}  // namespace ddpm::cuda
