// DDPM (Ho et al. 2020, equation 7) and DDIM (Song et al. 2021, equation 12): from one timestep of the chain
// to an earlier one, by the posterior's mean and a variance.
#include <algorithm>
#include <cmath>

#include "model/sampling/sampler_rows.h"
#include "support/error.h"

namespace ddpm {
namespace {

// One transition, from alpha_bar to alpha_bar_previous, the less noisy one.
struct Transition {
  double alpha_bar;
  double alpha_bar_previous;
};

// The transition of row k. diffusers' DDIM subtracts T / steps from t, which for linspace and trailing
// spacing is not always the next timestep; DDPM goes to the next timestep, and its last step to the
// clean image.
Transition transition(const NoiseSchedule& schedule, const SamplerOptions& options,
                      const std::vector<double>& timesteps, size_t k) {
  const auto timestep = static_cast<int>(timesteps[k]);
  const bool subtracts = options.method == SamplerMethod::kDdim && options.timesteps.empty() &&
                         options.timestep_spacing != TimestepSpacing::kQuadratic;
  int previous = k + 1 < timesteps.size() ? static_cast<int>(timesteps[k + 1]) : -1;
  if (subtracts) previous = timestep - schedule.timesteps() / options.steps;
  const bool ends_noisy = options.method == SamplerMethod::kDdim && !options.set_alpha_to_one;
  return {schedule.alpha_bar_or_one(timestep),
          schedule.alpha_bar_or_one(ends_noisy ? std::max(previous, 0) : previous)};
}

// Sets the standard deviation of the step's noise, or the range of a learned one.
void set_noise(SamplerRow<double>& row, VarianceType variance, double posterior, double beta) {
  constexpr double kSmallestVariance = 1e-20;  // as in diffusers: the variance's logarithm must be finite
  const double smallest = std::max(posterior, kSmallestVariance);
  row.noise = std::sqrt(variance == VarianceType::kFixedLarge ? beta : smallest);
  if (variance == VarianceType::kLearnedRange) row.noise_range = 0.5 * std::log(beta / smallest);
}

// Ho et al. 2020, equation 7, with the respaced chain's beta; no noise in the last step (algorithm 2,
// line 3).
void set_ddpm(SamplerRow<double>& row, const Transition& step, const SamplerOptions& options, bool is_last) {
  const double beta = chain_beta(step.alpha_bar, step.alpha_bar_previous);
  const double of_x0 = std::sqrt(step.alpha_bar_previous) * beta / (1 - step.alpha_bar);
  const double of_x = std::sqrt(1 - beta) * (1 - step.alpha_bar_previous) / (1 - step.alpha_bar);
  set_x(row, of_x0 * LinearForm::x0() + of_x * LinearForm::x());
  if (!is_last)
    set_noise(row, options.variance_type, posterior_variance(step.alpha_bar, step.alpha_bar_previous), beta);
}

// The network's eps, or the one that an x0 implies.
LinearForm epsilon(const Transition& step, const SamplerOptions& options) {
  const double signal = std::sqrt(step.alpha_bar);
  const double noise_level = std::sqrt(1 - step.alpha_bar);
  const LinearForm x = LinearForm::x();
  if (options.use_clipped_model_output) return 1 / noise_level * (x - signal * LinearForm::x0());
  switch (options.prediction) {
    case Prediction::kSample:
      return 1 / noise_level * (x - signal * LinearForm::output());
    case Prediction::kVelocity:
      return signal * LinearForm::output() + noise_level * x;
    case Prediction::kEpsilon:
      break;
  }
  return LinearForm::output();
}

// Song et al. 2021, equations 12 and 16. Even if x_0 is clipped, eps stays the network's by default.
void set_ddim(SamplerRow<double>& row, const Transition& step, const SamplerOptions& options) {
  const double variance =
      options.eta * options.eta * posterior_variance(step.alpha_bar, step.alpha_bar_previous);
  const double direction = std::sqrt(std::max(1 - step.alpha_bar_previous - variance, 0.0));
  set_x(row, std::sqrt(step.alpha_bar_previous) * LinearForm::x0() + direction * epsilon(step, options) +
                 std::sqrt(variance) * LinearForm::noise());
}

// A row for each timestep, whose weights `set_row` writes.
template <typename SetRow>
SamplerTable chain_table(const NoiseSchedule& schedule, const SamplerOptions& options,
                         const SetRow& set_row) {
  const std::vector<double> timesteps = sampling_timesteps(schedule, options);
  SamplerTable table;
  for (size_t k = 0; k < timesteps.size(); ++k) {
    const Transition step = transition(schedule, options, timesteps, k);
    SamplerRow<double> row = row_at({.timestep = timesteps[k],
                                     .signal = std::sqrt(step.alpha_bar),
                                     .noise_level = std::sqrt(1 - step.alpha_bar)},
                                    options);
    set_row(row, step, k + 1 == timesteps.size());
    table.rows.push_back(row);
  }
  return table;
}

}  // namespace

SamplerTable ddpm_table(const NoiseSchedule& schedule, const SamplerOptions& options) {
  return chain_table(schedule, options, [&](SamplerRow<double>& row, const Transition& step, bool is_last) {
    set_ddpm(row, step, options, is_last);
  });
}

SamplerTable ddim_table(const NoiseSchedule& schedule, const SamplerOptions& options) {
  return chain_table(schedule, options, [&](SamplerRow<double>& row, const Transition& step, bool) {
    set_ddim(row, step, options);
  });
}

}  // namespace ddpm
