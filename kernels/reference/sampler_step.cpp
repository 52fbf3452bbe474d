// The start of sampling and its step (kernels/sampler_step.h).
//
// Parallel over images. An image draws its noise by its index in the run, not by its place in the batch. The
// matrix of a step is sparse, so its nonzero rows are listed once per step.
#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "kernels/reference/noise.h"
#include "kernels/reference/reference.h"
#include "kernels/reference/x0_estimate.h"
#include "support/parallel.h"

namespace ddpm::reference {
namespace {

// The values that a step combines, in the order of SamplerWeights.
constexpr int kTerms = 3 + kSamplerHistory;
template <typename T>
using Terms = std::array<T, kTerms>;

template <typename T>
Terms<T> as_array(const SamplerWeights<T>& w) {
  return {w.x, w.output, w.x0, w.history[0], w.history[1], w.history[2]};
}

template <typename T>
bool is_zero(const Terms<T>& weights) {
  return std::all_of(weights.begin(), weights.end(), [](T weight) { return weight == 0; });
}

// A row of the step's matrix and the array that receives its result.
template <typename T>
struct Result {
  Terms<T> weights;
  T* to;
};

template <typename T>
T dot(const Terms<T>& weights, const Terms<T>& values) {
  T sum = 0;
  for (int i = 0; i < kTerms; ++i)
    if (weights[i] != 0) sum += weights[i] * values[i];
  return sum;
}

template <typename T>
struct Step {
  const SamplerStepParams& params;
  const SamplerStepArgs<T>& args;
  const SamplerRow<T>& row;
  RandomKey key;
  std::vector<Result<T>> results;  // x first
  std::array<bool, kSamplerHistory> reads_history{};

  Step(const SamplerStepParams& s, const SamplerStepArgs<T>& a)
      : params(s),
        args(a),
        row(a.table[*a.index]),
        key(random_key(s.seed, RandomStream::kSampler, uint32_t(*a.index))) {
    results.push_back({as_array(row.x), args.x});
    for (int i = 0; i < params.history_size; ++i)
      if (const Terms<T> weights = as_array(row.history[i]); !is_zero(weights))
        results.push_back({weights, args.history + i * params.elements()});
    for (int i = 0; i < params.history_size; ++i)
      reads_history[i] = std::any_of(results.begin(), results.end(),
                                     [i](const Result<T>& result) { return result.weights[3 + i] != 0; });
  }

  T x0(int64_t n, T x, T output) const {
    const T estimate = x0_estimate(row, x, output);
    if (args.threshold == nullptr) return std::clamp(estimate, -row.clip_range, row.clip_range);
    const T limit = args.threshold[n];
    return std::clamp(estimate, -limit, limit) / limit;
  }

  // The factor of row.noise for this element.
  T learned_deviation(int64_t output_at) const {
    if (params.output == SamplerOutput::kMean) return 1;
    return std::exp(row.noise_range * (args.output[output_at + params.c] + 1) / 2);
  }

  void image(int64_t n) const {
    const int64_t elements = params.image_elements();
    std::vector<T> z(elements);
    if (row.noise != 0) fill_normal(key, uint64_t(*args.first_image + n), elements, z.data());
    for (int64_t e = 0; e < elements; ++e) {
      const int64_t at = n * elements + e;
      const int64_t output_at = output_index(params, n, e);
      const T x = args.x[at], output = args.output[output_at];
      Terms<T> values = {x, output, x0(n, x, output)};
      for (int i = 0; i < kSamplerHistory; ++i)
        if (reads_history[i]) values[3 + i] = args.history[i * params.elements() + at];
      for (const Result<T>& result : results) result.to[at] = dot(result.weights, values);
      if (row.noise != 0) args.x[at] += row.noise * learned_deviation(output_at) * z[e];
      for (int copy = 0; copy < params.copies; ++copy)
        args.network_input[copy * params.elements() + at] = args.x[at];
    }
  }
};

}  // namespace

template <typename T>
void sampler_start(const SamplerStepParams& params, const SamplerStartArgs<T>& args) {
  const RandomKey key = random_key(params.seed, RandomStream::kInitialNoise);
  parallel_for(params.n, [&](int64_t n) {
    const int64_t elements = params.image_elements();
    T* x = args.x + n * elements;
    fill_normal(key, uint64_t(*args.first_image + n), elements, x);
    for (int64_t e = 0; e < elements; ++e) x[e] *= T(params.start_deviation);
    for (int copy = 0; copy < params.copies; ++copy) {
      std::copy_n(x, elements, args.network_input + copy * params.elements() + n * elements);
      args.t[copy * params.n + n] = args.table[0].timestep;
    }
  });
}

template <typename T>
void sampler_step(const SamplerStepParams& params, const SamplerStepArgs<T>& args) {
  const Step<T> step(params, args);
  parallel_for(params.n, [&](int64_t n) {
    step.image(n);
    if (*args.index + 1 == params.steps) return;
    for (int copy = 0; copy < params.copies; ++copy)
      args.t[copy * params.n + n] = args.table[*args.index + 1].timestep;
  });
}

template void sampler_start(const SamplerStepParams&, const SamplerStartArgs<float>&);
template void sampler_start(const SamplerStepParams&, const SamplerStartArgs<double>&);
template void sampler_step(const SamplerStepParams&, const SamplerStepArgs<float>&);
template void sampler_step(const SamplerStepParams&, const SamplerStepArgs<double>&);

}  // namespace ddpm::reference
