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
  float history[kSamplerHistory][kElements];
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
  for (int i = 0; i < kSamplerHistory; ++i) add_term(weights.history[i], terms.history[i], sum);
}

__device__ __forceinline__ bool is_zero(const SamplerWeights<float>& weights) {
  return weights.x == 0 && weights.output == 0 && weights.x0 == 0 && weights.history[0] == 0 &&
         weights.history[1] == 0 && weights.history[2] == 0;
}

__device__ __forceinline__ bool reads_history(const SamplerRow<float>& row, int i) {
  return row.x.history[i] != 0 || row.history[0].history[i] != 0 || row.history[1].history[i] != 0 ||
         row.history[2].history[i] != 0;
}

// Keeps NaN, which fminf and fmaxf would turn into the limit.
__device__ __forceinline__ float clip(float value, float limit) {
  return value < -limit ? -limit : (value > limit ? limit : value);
}

// The parameters that the kernel needs.
struct Step {
  int elements;  // of an image
  int channels;
  int steps;
  int history_size;
  int64_t history_stride;  // elements of the batch
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
                float* __restrict__ x, float* __restrict__ history, const float* __restrict__ threshold,
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
  for (int i = 0; i < kSamplerHistory; ++i)
    if (i < step.history_size && reads_history(row, i))
      load<kWidth>(history + i * step.history_stride, place, step.elements, terms.history[i]);

  const float limit = threshold != nullptr ? threshold[place.image] : row.clip_range;
#pragma unroll
  for (int k = 0; k < kElements; ++k) {
    terms.x0[k] = clip(x0_estimate(row, terms.x[k], terms.output[k]), limit);
    if (threshold != nullptr) terms.x0[k] /= limit;
  }

  float next[kElements];
#pragma unroll
  for (int i = 0; i < kSamplerHistory; ++i) {
    if (i >= step.history_size || is_zero(row.history[i])) continue;
    combine(row.history[i], terms, next);
    store<kWidth>(history + i * step.history_stride, place, step.elements, next);
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

Copies copies_of(const SamplerStepParams& params) {
  return {.count = params.copies, .n = params.n, .stride = params.elements()};
}

LaunchConfig blocks_over_images(const SamplerStepParams& params, StreamView stream) {
  require_in_range("sampler_step", "number of elements per image", params.image_elements(), 1, 1 << 30);
  return {.grid = {ceil_div(params.image_elements(), kThreads * kElements), params.n},
          .block = kThreads,
          .stream = stream};
}

}  // namespace

template <typename T>
void sampler_start(const SamplerStepParams& params, const SamplerStartArgs<T, float>& args,
                   StreamView stream) {
  with_width<kElements>(params.image_elements(), [&](auto width) {
    launch(start_kernel<width(), T>, blocks_over_images(params, stream), params.image_elements(),
           copies_of(params), params.start_deviation, params.seed, args.table, args.first_image, args.x,
           args.network_input, args.t);
  });
}

template <typename T>
void sampler_step(const SamplerStepParams& params, const SamplerStepArgs<T, float>& args, StreamView stream) {
  require_in_range("sampler_step", "number of history tensors", params.history_size, 0, kSamplerHistory);
  const Step step{.elements = static_cast<int>(params.image_elements()),
                  .channels = params.c,
                  .steps = params.steps,
                  .history_size = params.history_size,
                  .history_stride = params.elements(),
                  .copies = copies_of(params),
                  .output = params.output,
                  .seed = params.seed};
  with_width<kElements>(params.image_elements(), [&](auto width) {
    launch(step_kernel<width(), T>, blocks_over_images(params, stream), step, args.output, args.table,
           args.index, args.first_image, args.x, args.history, args.threshold, args.network_input, args.t);
  });
}

template void sampler_start(const SamplerStepParams&, const SamplerStartArgs<float, float>&, StreamView);
template void sampler_start(const SamplerStepParams&, const SamplerStartArgs<BFloat16, float>&, StreamView);
template void sampler_step(const SamplerStepParams&, const SamplerStepArgs<float, float>&, StreamView);
template void sampler_step(const SamplerStepParams&, const SamplerStepArgs<BFloat16, float>&, StreamView);

}  // namespace ddpm::cuda
