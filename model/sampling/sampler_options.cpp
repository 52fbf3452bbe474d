#include "model/sampling/sampler_options.h"

#include <algorithm>
#include <cmath>

#include "support/enum_names.h"
#include "support/error.h"

namespace ddpm {
namespace {

constexpr EnumName<SamplerMethod> kSamplerMethods[] = {
    {SamplerMethod::kDdpm, "ddpm"},
    {SamplerMethod::kDdim, "ddim"},
    {SamplerMethod::kDpmpp, "dpmpp_2m"},
    {SamplerMethod::kDpmppSde, "dpmpp_2m_sde"},
    {SamplerMethod::kUnipc, "unipc"},
    {SamplerMethod::kEuler, "euler"},
    {SamplerMethod::kEulerAncestral, "euler_ancestral"},
    {SamplerMethod::kHeun, "heun"},
};
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

constexpr int kMaxSteps = 1'000'000;  // as many as there may be timesteps; a table of all is kept

bool is_one_of(SamplerMethod method, std::initializer_list<SamplerMethod> methods) {
  return std::find(methods.begin(), methods.end(), method) != methods.end();
}

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
  const std::string_view method = sampler_method_name(options.method);
  if (options.sigma_spacing != SigmaSpacing::kTimesteps) {
    if (is_one_of(options.method, {SamplerMethod::kDdpm, SamplerMethod::kDdim}))
      throw_input("{} takes its noise levels from timesteps: choose another sampler for {} sigmas", method,
                  sigma_spacing_name(options.sigma_spacing));
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
  if (options.edm && (options.method != SamplerMethod::kEuler || !options.sigma_min || !options.sigma_max ||
                      options.prediction == Prediction::kSample))
    throw_input("EDM preconditioning wants sampler euler, sigma_min, sigma_max and epsilon or v prediction");
}

void check_order(const SamplerOptions& options) {
  const int most = options.method == SamplerMethod::kDpmppSde ? 2 : 3;
  if (options.solver_order < 1 || options.solver_order > most)
    throw_input("solver order {}: {} has orders 1 to {}", options.solver_order,
                sampler_method_name(options.method), most);
}

void check_churn(const SamplerOptions& options) {
  if (options.churn.s_churn == 0) return;
  if (!(options.churn.s_churn > 0) || !(options.churn.s_noise >= 0))
    throw_input("churn {} with noise {}: neither may be negative", options.churn.s_churn,
                options.churn.s_noise);
  const bool estimates_after_noise = options.prediction == Prediction::kEpsilon || options.edm;
  if (options.method != SamplerMethod::kEuler || !estimates_after_noise || options.clip_sample ||
      options.thresholding)
    throw_input("churn wants sampler euler, epsilon prediction and an estimate that is not clipped");
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
std::string_view sigma_spacing_name(SigmaSpacing spacing) { return enum_name(kSigmaSpacings, spacing); }
SigmaSpacing parse_sigma_spacing(std::string_view name) {
  return parse_enum(kSigmaSpacings, "sigma spacing", name);
}
FinalSigma parse_final_sigma(std::string_view name) { return parse_enum(kFinalSigmas, "final sigma", name); }
std::string_view variance_type_name(VarianceType variance) { return enum_name(kVarianceTypes, variance); }
VarianceType parse_variance_type(std::string_view name) {
  return parse_enum(kVarianceTypes, "variance type", name);
}

std::string sampler_method_names() {
  std::string names;
  for (const auto& entry : kSamplerMethods) names += (names.empty() ? "" : ", ") + std::string(entry.name);
  return names;
}

void validate(const SamplerOptions& options) {
  if (options.steps > kMaxSteps)
    throw_input("{} sampling steps: choose at most {}", options.steps, kMaxSteps);
  if (!(options.eta >= 0 && options.eta <= 1))
    throw_input("eta is {}: it must lie between 0 (deterministic) and 1 (ancestral)", options.eta);
  check_clipping(options);
  check_sigmas(options);
  check_churn(options);
  if (is_one_of(options.method, {SamplerMethod::kDpmpp, SamplerMethod::kDpmppSde, SamplerMethod::kUnipc}))
    check_order(options);
}

}  // namespace ddpm
