#include "model/sampler_schedule.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "support/enum_names.h"
#include "support/error.h"

namespace ddpm {
namespace {

constexpr EnumName<SamplerMethod> kSamplerMethods[] = {
    {SamplerMethod::kDdpm, "ddpm"},
    {SamplerMethod::kDdim, "ddim"},
    {SamplerMethod::kDpmpp2m, "dpmpp_2m"},
};
constexpr EnumName<TimestepSpacing> kTimestepSpacings[] = {
    {TimestepSpacing::kLeading, "leading"},
    {TimestepSpacing::kTrailing, "trailing"},
    {TimestepSpacing::kLinspace, "linspace"},
    {TimestepSpacing::kQuadratic, "quadratic"},
};
constexpr EnumName<VarianceType> kVarianceTypes[] = {
    {VarianceType::kFixedSmall, "fixed_small"},
    {VarianceType::kFixedLarge, "fixed_large"},
};

// The k-th of the rising timesteps, before any offset. `count` timesteps are spaced, of which the caller may
// leave the first out. Halves round to even, as NumPy rounds.
int spaced_timestep(TimestepSpacing spacing, int timesteps, int count, int k) {
  switch (spacing) {
    case TimestepSpacing::kLeading:
      return k * (timesteps / count);
    case TimestepSpacing::kTrailing: {
      const double stride = static_cast<double>(timesteps) / count;
      return static_cast<int>(std::nearbyint(timesteps - (count - 1 - k) * stride)) - 1;
    }
    case TimestepSpacing::kLinspace:
      if (count == 1) return 0;
      return static_cast<int>(std::nearbyint(k * (static_cast<double>(timesteps - 1) / (count - 1))));
    case TimestepSpacing::kQuadratic: {
      if (count == 1) return 0;
      const double root = k * (std::sqrt(0.8 * timesteps) / (count - 1));
      return static_cast<int>(root * root);
    }
  }
  DDPM_CHECK(!"a spacing that is not in the enum");
  return 0;
}

void check_timesteps(const std::vector<int>& timesteps, int count) {
  for (size_t k = 0; k < timesteps.size(); ++k) {
    if (timesteps[k] < 0 || timesteps[k] >= count)
      throw_input(
          "sampling asks for timestep {}, but the schedule has 0 to {}: use fewer steps or a smaller offset",
          timesteps[k], count - 1);
    if (k > 0 && timesteps[k] >= timesteps[k - 1])
      throw_input("sampling timestep {} follows {}: they must fall; use fewer steps", timesteps[k],
                  timesteps[k - 1]);
  }
}

void check_options(const SamplerOptions& options) {
  if (!(options.eta >= 0 && options.eta <= 1))
    throw_input("eta is {}: it must lie between 0 (deterministic) and 1 (ancestral)", options.eta);
  if (options.clip_sample && !(options.clip_sample_range > 0))
    throw_input("the clip range is {}: it must be above 0", options.clip_sample_range);
}

// One transition, from alpha_bar to alpha_bar_previous, the less noisy one.
struct Transition {
  double alpha_bar;
  double alpha_bar_previous;
};

// Where row k goes. diffusers' DDIM subtracts T / steps from t, which for linspace and trailing spacing is
// not always the next timestep; all others go to the next timestep, and the last to the clean image.
Transition transition(const NoiseSchedule& schedule, const SamplerOptions& options,
                      const std::vector<int>& timesteps, size_t k) {
  const bool subtracts = options.method == SamplerMethod::kDdim && options.timesteps.empty() &&
                         options.timestep_spacing != TimestepSpacing::kQuadratic;
  int previous = k + 1 < timesteps.size() ? timesteps[k + 1] : -1;
  if (subtracts) previous = timesteps[k] - schedule.timesteps() / options.steps;
  const bool ends_noisy = options.method == SamplerMethod::kDdim && !options.set_alpha_to_one;
  return {schedule.alpha_bar_or_one(timesteps[k]),
          schedule.alpha_bar_or_one(ends_noisy ? std::max(previous, 0) : previous)};
}

// Ho et al. 2020, equation 7, with the respaced chain's beta. The last step adds no noise (algorithm 2, line
// 3).
void set_ddpm(SamplerCoefficients& row, const Transition& step, const SamplerOptions& options, bool is_last) {
  const double beta = chain_beta(step.alpha_bar, step.alpha_bar_previous);
  row.x0_coefficient = std::sqrt(step.alpha_bar_previous) * beta / (1 - step.alpha_bar);
  row.x_coefficient = std::sqrt(1 - beta) * (1 - step.alpha_bar_previous) / (1 - step.alpha_bar);
  if (is_last) return;
  row.noise_coefficient = std::sqrt(options.variance_type == VarianceType::kFixedLarge
                                        ? beta
                                        : posterior_variance(step.alpha_bar, step.alpha_bar_previous));
}

// Song et al. 2021, equations 12 and 16. eps stays the network's, also where x_0 is clipped.
void set_ddim(SamplerCoefficients& row, const Transition& step, double eta) {
  const double variance = eta * eta * posterior_variance(step.alpha_bar, step.alpha_bar_previous);
  row.x0_coefficient = std::sqrt(step.alpha_bar_previous);
  row.epsilon_coefficient = std::sqrt(std::max(1 - step.alpha_bar_previous - variance, 0.0));
  row.noise_coefficient = std::sqrt(variance);
}

// Half the logarithm of the signal-to-noise ratio: lambda of the DPM-Solver papers.
double half_log_snr(double alpha_bar) { return 0.5 * (std::log(alpha_bar) - std::log1p(-alpha_bar)); }

// Lu et al. 2022 (DPM-Solver++), algorithm 2, from the transition before this one; first order, which is
// DDIM, at the first step and at the last, where lambda is infinite.
void set_dpmpp_2m(SamplerCoefficients& row, const Transition& step, const Transition* before) {
  row.x_coefficient = std::sqrt((1 - step.alpha_bar_previous) / (1 - step.alpha_bar));
  // alpha_t (1 - e^-h), where e^-h is the ratio of the two noise-to-signal ratios.
  const double weight = std::sqrt(step.alpha_bar_previous) - row.x_coefficient * std::sqrt(step.alpha_bar);
  const bool second_order = before != nullptr && step.alpha_bar_previous < 1;
  double extrapolation = 0;  // 1 / (2 r), r the ratio of the step before to this one
  if (second_order) {
    const double lambda = half_log_snr(step.alpha_bar);
    extrapolation =
        (half_log_snr(step.alpha_bar_previous) - lambda) / (2 * (lambda - half_log_snr(before->alpha_bar)));
  }
  row.x0_coefficient = weight * (1 + extrapolation);
  row.previous_x0_coefficient = -weight * extrapolation;
}

}  // namespace

std::string_view sampler_method_name(SamplerMethod method) { return enum_name(kSamplerMethods, method); }
SamplerMethod parse_sampler_method(std::string_view name) {
  return parse_enum(kSamplerMethods, "sampler", name);
}
std::string_view timestep_spacing_name(TimestepSpacing spacing) {
  return enum_name(kTimestepSpacings, spacing);
}
TimestepSpacing parse_timestep_spacing(std::string_view name) {
  return parse_enum(kTimestepSpacings, "timestep spacing", name);
}
std::string_view variance_type_name(VarianceType variance) { return enum_name(kVarianceTypes, variance); }
VarianceType parse_variance_type(std::string_view name) {
  return parse_enum(kVarianceTypes, "variance type", name);
}

std::vector<int> sampling_timesteps(const NoiseSchedule& schedule, const SamplerOptions& options) {
  std::vector<int> timesteps = options.timesteps;
  if (timesteps.empty()) {
    if (options.steps < 1 || options.steps > schedule.timesteps())
      throw_input("sampling in {} steps: choose 1 to {}, the timesteps of the noise schedule", options.steps,
                  schedule.timesteps());
    // diffusers' DPM-Solver spaces one more and leaves t = 0 out: its last step goes to the clean image
    // anyway.
    const bool leaves_zero_out =
        options.method == SamplerMethod::kDpmpp2m && (options.timestep_spacing == TimestepSpacing::kLeading ||
                                                      options.timestep_spacing == TimestepSpacing::kLinspace);
    const int count = options.steps + (leaves_zero_out ? 1 : 0);
    const int offset = options.timestep_spacing == TimestepSpacing::kLeading ? options.steps_offset : 0;
    for (int k = leaves_zero_out ? 1 : 0; k < count; ++k)
      timesteps.push_back(spaced_timestep(options.timestep_spacing, schedule.timesteps(), count, k) + offset);
    if (options.timestep_spacing == TimestepSpacing::kQuadratic)
      timesteps.erase(std::unique(timesteps.begin(), timesteps.end()), timesteps.end());
    std::reverse(timesteps.begin(), timesteps.end());
  }
  check_timesteps(timesteps, schedule.timesteps());
  return timesteps;
}

std::vector<SamplerCoefficients> sampler_table(const NoiseSchedule& schedule, const SamplerOptions& options) {
  check_options(options);
  const std::vector<int> timesteps = sampling_timesteps(schedule, options);
  std::vector<SamplerCoefficients> table;
  Transition before = {};
  for (size_t k = 0; k < timesteps.size(); ++k) {
    const Transition step = transition(schedule, options, timesteps, k);
    if (step.alpha_bar == 0 && options.prediction == Prediction::kEpsilon)
      throw_input(
          "timestep {} holds no signal (zero terminal SNR), so epsilon says nothing about the image: sample "
          "with "
          "a network that predicts v or x_0",
          timesteps[k]);
    SamplerCoefficients row = {};
    row.timestep = timesteps[k];
    row.signal = std::sqrt(step.alpha_bar);
    row.noise_level = std::sqrt(1 - step.alpha_bar);
    row.clip_range =
        options.clip_sample ? options.clip_sample_range : std::numeric_limits<double>::infinity();
    switch (options.method) {
      case SamplerMethod::kDdpm:
        set_ddpm(row, step, options, k + 1 == timesteps.size());
        break;
      case SamplerMethod::kDdim:
        set_ddim(row, step, options.eta);
        break;
      case SamplerMethod::kDpmpp2m:
        set_dpmpp_2m(row, step, k == 0 ? nullptr : &before);
        break;
    }
    table.push_back(row);
    before = step;
  }
  return table;
}

bool keeps_previous_x0(SamplerMethod method) { return method == SamplerMethod::kDpmpp2m; }

}  // namespace ddpm
