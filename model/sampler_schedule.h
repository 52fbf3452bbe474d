// The reverse process as a table: at which timesteps the network is asked, and with which coefficients its
// answers are combined. Everything is computed here, once and in double precision; an update itself is a
// linear combination (kernels/sampler_step.h). Depends on model/noise_schedule.h and the headers of kernels/.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "kernels/diffusion.h"
#include "kernels/sampler_step.h"
#include "model/noise_schedule.h"

namespace ddpm {

enum class SamplerMethod : uint8_t {
  kDdpm,     // "ddpm": ancestral sampling, Ho et al. 2020
  kDdim,     // "ddim": Song et al. 2021, deterministic at eta = 0
  kDpmpp2m,  // "dpmpp_2m": DPM-Solver++(2M), Lu et al. 2022
};

// How `steps` timesteps are chosen from T (Lin et al. 2023, table 2; the last one is the code of the DDIM
// paper).
enum class TimestepSpacing : uint8_t {
  kLeading,    // "leading": multiples of T / steps from 0
  kTrailing,   // "trailing": multiples of T / steps down from T - 1
  kLinspace,   // "linspace": evenly over 0 .. T - 1, both ends taken
  kQuadratic,  // "quadratic": squares of even steps over [0, 0.8 T], dense at the clean end
};

// The variance of an ancestral step, both of Ho et al. 2020, section 3.2.
enum class VarianceType : uint8_t {
  kFixedSmall,  // "fixed_small": that of the posterior, right for data that is one point
  kFixedLarge,  // "fixed_large": beta, right for data that is standard normal
};

std::string_view sampler_method_name(SamplerMethod method);
SamplerMethod parse_sampler_method(std::string_view name);
std::string_view timestep_spacing_name(TimestepSpacing spacing);
TimestepSpacing parse_timestep_spacing(std::string_view name);
std::string_view variance_type_name(VarianceType variance);
VarianceType parse_variance_type(std::string_view name);

// The fields of diffusers' scheduler_config.json under their names there.
struct SamplerOptions {
  SamplerMethod method = SamplerMethod::kDdim;
  int steps = 50;
  TimestepSpacing timestep_spacing = TimestepSpacing::kLeading;
  int steps_offset = 0;        // added to every timestep; leading spacing alone
  std::vector<int> timesteps;  // where not empty, falling timesteps instead of `steps` and the spacing
  VarianceType variance_type = VarianceType::kFixedLarge;  // DDPM alone
  double eta = 0;                                          // DDIM alone: 0 deterministic .. 1 ancestral
  bool set_alpha_to_one = true;  // DDIM alone: the last step reaches the clean image, or else alpha_bar[0]
  Prediction prediction = Prediction::kEpsilon;
  bool clip_sample = true;  // the estimate of x_0 to +-clip_sample_range
  double clip_sample_range = 1;
};

// The falling timesteps, one network evaluation each. InputError where the schedule has no such timesteps.
// Quadratic spacing asked for many steps gives fewer, since the DDIM paper's code repeats small timesteps, to
// no effect.
std::vector<int> sampling_timesteps(const NoiseSchedule& schedule, const SamplerOptions& options);

// One row per timestep. InputError where the options contradict each other or the schedule.
// The random part of row k is stream RandomStream::kSampler, member k.
std::vector<SamplerCoefficients> sampler_table(const NoiseSchedule& schedule, const SamplerOptions& options);

// Whether the update refers to the estimate of x_0 of the step before.
bool keeps_previous_x0(SamplerMethod method);

}  // namespace ddpm
