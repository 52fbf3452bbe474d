#include "model/sampling/sampler_options.h"

#include <algorithm>
#include <cmath>

#include "support/enum_names.h"
#include "support/error.h"

namespace ddpm {
namespace {

constexpr EnumName<TimestepSpacing> kTimestepSpacings[] = {
    {TimestepSpacing::kLeading, "leading"},
    {TimestepSpacing::kTrailing, "trailing"},
    {TimestepSpacing::kLinspace, "linspace"},
    {TimestepSpacing::kQuadratic, "quadratic"},
};
constexpr EnumName<SigmaSpacing> kSigmaSpacings[] = {
    {SigmaSpacing::kTimesteps, "timesteps"},
    {SigmaSpacing::kKarras, "karras"},
    {SigmaSpacing::kExponential, "exponential"},
};
constexpr EnumName<FinalSigma> kFinalSigmas[] = {{FinalSigma::kZero, "zero"},
                                                 {FinalSigma::kSmallest, "sigma_min"}};
// In diffusers the _log forms take a detour through the logarithm to the same deviation.
constexpr EnumName<VarianceType> kVarianceTypes[] = {
    {VarianceType::kFixedSmall, "fixed_small"},     {VarianceType::kFixedLarge, "fixed_large"},
    {VarianceType::kLearnedRange, "learned_range"}, {VarianceType::kFixedSmall, "fixed_small_log"},
    {VarianceType::kFixedLarge, "fixed_large_log"},
};

constexpr int kMaxSteps = 1'000'000;  // the limit of timesteps; the table holds all of them

void check_clipping(const SamplerOptions& options) {
  if (options.clip_sample && !(options.clip_sample_range > 0))
    throw_input("the clip range is {}: it must be above 0", options.clip_sample_range);
  if (!options.thresholding) return;
  if (!(options.dynamic_thresholding_ratio > 0 && options.dynamic_thresholding_ratio <= 1))
    throw_input("the thresholding ratio is {}: it must be above 0 and at most 1",
                options.dynamic_thresholding_ratio);
  if (!(options.sample_max_value >= 1))
    throw_input("the largest threshold is {}: it must be at least 1", options.sample_max_value);
}

void check_sigmas(const SamplerOptions& options) {
  const SamplerTraits& traits = sampler_traits(options.method);
  if (options.sigma_spacing != SigmaSpacing::kTimesteps) {
    if (!traits.takes_sigmas())
      throw_input("{} takes its noise levels from timesteps: choose another sampler for {} sigmas",
                  traits.name, sigma_spacing_name(options.sigma_spacing));
    if (!options.timesteps.empty())
      throw_input("timesteps were given, so the sigmas cannot be spaced by {} too",
                  sigma_spacing_name(options.sigma_spacing));
  } else if (options.sigma_min || options.sigma_max) {
    throw_input("sigma_min and sigma_max belong to karras or exponential sigmas: choose one of them");
  }
  const double smallest = options.sigma_min.value_or(0);
  const double largest = options.sigma_max.value_or(std::numeric_limits<double>::infinity());
  if ((options.sigma_min && !(smallest > 0)) || !(largest > smallest))
    throw_input("sigma runs from {} to {}: sigma_min must be above 0 and below sigma_max", largest, smallest);
  if (options.edm && (!traits.takes_edm || !options.sigma_min || !options.sigma_max ||
                      options.prediction == Prediction::kSample))
    throw_input("EDM preconditioning needs sampler {}, sigma_min, sigma_max and epsilon or v prediction",
                sampler_names(&SamplerTraits::takes_edm));
}

void check_order(const SamplerOptions& options) {
  const SamplerTraits& traits = sampler_traits(options.method);
  if (!traits.takes_order()) return;
  const int order = solver_order(options);
  if (order < 1 || order > traits.max_order)
    throw_input("solver order {}: {} has orders 1 to {}", order, traits.name, traits.max_order);
}

void check_churn(const SamplerOptions& options) {
  if (options.churn.s_churn == 0) return;
  if (!(options.churn.s_churn > 0) || !(options.churn.s_noise >= 0))
    throw_input("churn {} with noise {}: neither may be negative", options.churn.s_churn,
                options.churn.s_noise);
  const bool estimates_after_noise = options.prediction == Prediction::kEpsilon || options.edm;
  if (!sampler_traits(options.method).takes_churn || !estimates_after_noise || options.clip_sample ||
      options.thresholding)
    throw_input("churn needs sampler {}, epsilon prediction and an estimate that is not clipped",
                sampler_names(&SamplerTraits::takes_churn));
}

}  // namespace

std::string_view timestep_spacing_name(TimestepSpacing spacing) {
  return enum_name(kTimestepSpacings, spacing);
}
TimestepSpacing parse_timestep_spacing(std::string_view name) {
  return parse_enum(kTimestepSpacings, "timestep spacing", name);
}
std::string_view sigma_spacing_name(SigmaSpacing spacing) { return enum_name(kSigmaSpacings, spacing); }
SigmaSpacing parse_sigma_spacing(std::string_view name) {
  return parse_enum(kSigmaSpacings, "sigma spacing", name);
}
std::string_view final_sigma_name(FinalSigma sigma) { return enum_name(kFinalSigmas, sigma); }
FinalSigma parse_final_sigma(std::string_view name) { return parse_enum(kFinalSigmas, "final sigma", name); }
std::string_view variance_type_name(VarianceType variance) { return enum_name(kVarianceTypes, variance); }
VarianceType parse_variance_type(std::string_view name) {
  return parse_enum(kVarianceTypes, "variance type", name);
}

int solver_order(const SamplerOptions& options) {
  return options.solver_order.value_or(sampler_traits(options.method).default_order);
}

void validate(const SamplerOptions& options) {
  if (options.steps > kMaxSteps)
    throw_input("{} sampling steps: choose at most {}", options.steps, kMaxSteps);
  if (!(options.eta >= 0 && options.eta <= 1))
    throw_input("eta is {}: it must lie between 0 (deterministic) and 1 (ancestral)", options.eta);
  check_clipping(options);
  check_sigmas(options);
  check_churn(options);
  check_order(options);
}

}  // namespace ddpm
