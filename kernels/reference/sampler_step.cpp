// The sampler's start and its update, as kernels/sampler_step.h says.
//
// Parallel over images: each draws its noise from its own number in the run, never from its place in the
// batch. A term whose coefficient is 0 is left out rather than multiplied: before the first update
// previous_x0 holds nothing.
#include <algorithm>
#include <vector>

#include "kernels/reference/noise.h"
#include "kernels/reference/reference.h"
#include "support/parallel.h"

namespace ddpm::reference {
namespace {

// A row of the table, in the type that the table has.
template <typename T>
struct Row {
  T timestep, signal, noise_level, clip_range;
  T x0, x, epsilon, previous_x0, noise;
};

template <typename T>
Row<T> row_of(const T* table, int64_t index) {
  const T* r = table + index * kSamplerColumns;
  return {r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8]};
}

template <typename T>
struct Estimate {
  T x0, eps;
};

// What the network's answer says about the clean image and the noise in x.
template <typename T>
Estimate<T> estimate(Prediction prediction, const Row<T>& row, T x, T output) {
  const T a = row.signal, s = row.noise_level;
  switch (prediction) {
    case Prediction::kSample:
      return {.x0 = output, .eps = (x - a * output) / s};
    case Prediction::kVelocity:
      return {.x0 = a * x - s * output, .eps = a * output + s * x};
    case Prediction::kEpsilon:
      break;
  }
  return {.x0 = (x - s * output) / a, .eps = output};
}

}  // namespace

template <typename T>
void sampler_start(const SamplerStepShape& shape, const SamplerStartArgs<T>& args) {
  const RandomKey key = random_key(shape.seed, RandomStream::kInitialNoise);
  parallel_for(shape.n, [&](int64_t n) {
    const int64_t elements = shape.image_elements();
    T* x = args.x + n * elements;
    fill_normal(key, uint64_t(*args.first_image + n), elements, x);
    std::copy_n(x, elements, args.network_input + n * elements);
    args.t[n] = row_of(args.table, 0).timestep;
  });
}

template <typename T>
void sampler_step(const SamplerStepShape& shape, const SamplerStepArgs<T>& args) {
  const int64_t index = *args.index;
  const Row<T> row = row_of(args.table, index);
  const RandomKey key = random_key(shape.seed, RandomStream::kSampler, uint32_t(index));
  parallel_for(shape.n, [&](int64_t n) {
    const int64_t elements = shape.image_elements();
    std::vector<T> z(elements);
    if (row.noise != 0) fill_normal(key, uint64_t(*args.first_image + n), elements, z.data());
    for (int64_t e = 0; e < elements; ++e) {
      const int64_t at = n * elements + e;
      Estimate<T> now = estimate(shape.prediction, row, args.x[at], args.output[at]);
      now.x0 = std::clamp(now.x0, -row.clip_range, row.clip_range);
      T x = row.x0 * now.x0 + row.x * args.x[at] + row.epsilon * now.eps + row.noise * z[e];
      if (row.previous_x0 != 0) x += row.previous_x0 * args.previous_x0[at];
      if (args.previous_x0 != nullptr) args.previous_x0[at] = now.x0;
      args.x[at] = x;
      args.network_input[at] = x;
    }
    if (index + 1 < shape.steps) args.t[n] = row_of(args.table, index + 1).timestep;
  });
}

template void sampler_start(const SamplerStepShape&, const SamplerStartArgs<float>&);
template void sampler_start(const SamplerStepShape&, const SamplerStartArgs<double>&);
template void sampler_step(const SamplerStepShape&, const SamplerStepArgs<float>&);
template void sampler_step(const SamplerStepShape&, const SamplerStepArgs<double>&);

}  // namespace ddpm::reference
