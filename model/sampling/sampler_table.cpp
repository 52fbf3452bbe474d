#include "model/sampling/sampler_table.h"

#include <cmath>
#include <limits>

#include "model/sampling/sampler_methods.h"
#include "support/error.h"

namespace ddpm {
namespace {

// x0 = from_x x + from_output output.
struct X0Estimate {
  double from_x;
  double from_output;
};

X0Estimate x0_estimate(const NoiseLevel& level, Prediction prediction) {
  switch (prediction) {
    case Prediction::kSample:
      return {.from_x = 0, .from_output = 1};
    case Prediction::kVelocity:
      return {.from_x = level.signal, .from_output = -level.noise_level};
    case Prediction::kEpsilon:
      break;
  }
  if (level.signal == 0)
    throw_input(
        "timestep {} holds no signal (zero terminal SNR), so epsilon says nothing about the image: sample "
        "with "
        "a network that predicts v or x_0",
        level.timestep);
  return {.from_x = 1 / level.signal, .from_output = -level.sigma()};
}

// Karras et al. 2022, table 1: x0 = c_skip X + c_out output, with X = x / c_in. diffusers' v differs in sign.
X0Estimate edm_x0_estimate(const NoiseLevel& level, double sigma_data, Prediction prediction) {
  const double sigma = level.sigma();
  const double variance = sigma * sigma + sigma_data * sigma_data;
  const double c_skip = sigma_data * sigma_data / variance;
  const double c_out = sigma * sigma_data / std::sqrt(variance);
  return {.from_x = c_skip / level.signal,
          .from_output = prediction == Prediction::kVelocity ? -c_out : c_out};
}

SamplerTable make_table(const NoiseSchedule& schedule, const SamplerOptions& options) {
  switch (options.method) {
    case SamplerMethod::kDdpm:
    case SamplerMethod::kDdim:
      return ancestral_table(schedule, options);
    case SamplerMethod::kDpmpp:
    case SamplerMethod::kDpmppSde:
      return dpm_solver_table(sampling_levels(schedule, options), options);
    case SamplerMethod::kUnipc:
      return unipc_table(sampling_levels(schedule, options), options);
    case SamplerMethod::kEuler:
    case SamplerMethod::kEulerAncestral:
      return euler_table(sampling_levels(schedule, options), options);
    case SamplerMethod::kHeun:
      return heun_table(sampling_levels(schedule, options), options);
  }
  DDPM_CHECK(!"a method that is not in the enum");
  return {};
}

}  // namespace

SamplerRow<double> row_at(const NoiseLevel& level, const SamplerOptions& options) {
  const X0Estimate x0 = options.edm ? edm_x0_estimate(level, options.edm->sigma_data, options.prediction)
                                    : x0_estimate(level, options.prediction);
  SamplerRow<double> row = {};
  row.timestep = level.timestep;
  row.x0_from_x = x0.from_x;
  row.x0_from_output = x0.from_output;
  row.clip_range = options.clip_sample ? options.clip_sample_range : std::numeric_limits<double>::infinity();
  return row;
}

void set_x(SamplerRow<double>& row, const LinearForm& form) {
  row.x = form.weights();
  row.noise = form.noise_weight();
}

void set_history(SamplerRow<double>& row, int i, const LinearForm& form) {
  DDPM_CHECK(form.noise_weight() == 0);
  row.history[i] = form.weights();
}

SamplerTable sampler_table(const NoiseSchedule& schedule, const SamplerOptions& options) {
  validate(options);
  return make_table(schedule, options);
}

}  // namespace ddpm
