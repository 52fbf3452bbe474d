// Every sampler as one row of traits: all that the rest of the program knows about a method. Names, help,
// checks and noise levels follow from the row. A new sampler is a value of SamplerMethod, a row of kSamplers
// and the function that makes its table, in a .cpp of its own (written with model/sampling/sampler_rows.h).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ddpm {

class NoiseSchedule;
struct SamplerOptions;
struct SamplerTable;

enum class SamplerMethod : uint8_t {
  kDdpm,            // ancestral sampling: Ho et al. 2020
  kDdim,            // Song et al. 2021; deterministic at eta = 0
  kDpmpp,           // DPM-Solver++, multistep: Lu et al. 2022
  kDpmppSde,        // the same for the reverse SDE
  kUnipc,           // Zhao et al. 2023
  kEuler,           // Karras et al. 2022, algorithm 2 without its second evaluation
  kEulerAncestral,  // part of each step as fresh noise: k-diffusion
  kHeun,            // Karras et al. 2022, algorithm 1
};

// Where a method evaluates the network.
enum class SamplerLevels : uint8_t {
  kChain,  // at timesteps of the training chain
  // At sigmas. diffusers' multistep solvers space one timestep more and drop t = 0, since their last step
  // reaches the clean image anyway; spaced sigmas span the whole schedule.
  kMultistep,
  // At sigmas, whose timesteps may be fractions; spaced sigmas span the spaced timesteps.
  kContinuous,
};

// Whether the timestep of a spaced sigma is rounded, as in diffusers.
enum class TimestepRounding : uint8_t {
  kNever,
  kAlways,
  kUnlessSquaredCosine,  // the last sigmas of that schedule lie too far apart
};

struct SamplerTraits {
  SamplerMethod method;
  std::string_view name;  // in configurations and on command lines
  // Called by sampler_table() with options that passed validate().
  SamplerTable (*make_table)(const NoiseSchedule& schedule, const SamplerOptions& options);
  SamplerLevels levels = SamplerLevels::kChain;
  TimestepRounding rounding = TimestepRounding::kNever;
  int evaluations = 1;    // of the network, a step; the last step never takes more than one
  int max_order = 0;      // solver_order is 1 .. max_order; 0: the method has no order
  int default_order = 0;  // where solver_order is not given
  // Which of SamplerOptions apply.
  bool takes_eta = false;
  bool takes_variance = false;
  bool takes_lambda_min = false;  // lambda_min_clipped
  bool takes_churn = false;
  bool takes_edm = false;

  bool takes_sigmas() const { return levels != SamplerLevels::kChain; }  // sigma_spacing, final_sigma
  bool takes_order() const { return max_order > 0; }
};

// model/sampling/ddpm_ddim_samplers.cpp
SamplerTable ddpm_table(const NoiseSchedule& schedule, const SamplerOptions& options);
SamplerTable ddim_table(const NoiseSchedule& schedule, const SamplerOptions& options);
// model/sampling/dpm_solver.cpp
SamplerTable dpm_solver_table(const NoiseSchedule& schedule, const SamplerOptions& options);
SamplerTable dpm_solver_sde_table(const NoiseSchedule& schedule, const SamplerOptions& options);
// model/sampling/unipc.cpp
SamplerTable unipc_table(const NoiseSchedule& schedule, const SamplerOptions& options);
// model/sampling/euler_heun_samplers.cpp
SamplerTable euler_table(const NoiseSchedule& schedule, const SamplerOptions& options);
SamplerTable euler_ancestral_table(const NoiseSchedule& schedule, const SamplerOptions& options);
SamplerTable heun_table(const NoiseSchedule& schedule, const SamplerOptions& options);

inline constexpr SamplerTraits kSamplers[] = {
    {.method = SamplerMethod::kDdpm, .name = "ddpm", .make_table = ddpm_table, .takes_variance = true},
    {.method = SamplerMethod::kDdim, .name = "ddim", .make_table = ddim_table, .takes_eta = true},
    {.method = SamplerMethod::kDpmpp,
     .name = "dpmpp_2m",
     .make_table = dpm_solver_table,
     .levels = SamplerLevels::kMultistep,
     .rounding = TimestepRounding::kUnlessSquaredCosine,
     .max_order = 3,
     .default_order = 2,
     .takes_lambda_min = true},
    {.method = SamplerMethod::kDpmppSde,
     .name = "dpmpp_2m_sde",
     .make_table = dpm_solver_sde_table,
     .levels = SamplerLevels::kMultistep,
     .rounding = TimestepRounding::kUnlessSquaredCosine,
     .max_order = 2,
     .default_order = 2,
     .takes_lambda_min = true},
    {.method = SamplerMethod::kUnipc,
     .name = "unipc",
     .make_table = unipc_table,
     .levels = SamplerLevels::kMultistep,
     .rounding = TimestepRounding::kAlways,
     .max_order = 3,
     .default_order = 2},
    {.method = SamplerMethod::kEuler,
     .name = "euler",
     .make_table = euler_table,
     .levels = SamplerLevels::kContinuous,
     .takes_churn = true,
     .takes_edm = true},
    {.method = SamplerMethod::kEulerAncestral,
     .name = "euler_ancestral",
     .make_table = euler_ancestral_table,
     .levels = SamplerLevels::kContinuous},
    {.method = SamplerMethod::kHeun,
     .name = "heun",
     .make_table = heun_table,
     .levels = SamplerLevels::kContinuous,
     .evaluations = 2},
};

// The method's row of kSamplers.
const SamplerTraits& sampler_traits(SamplerMethod method);
std::string_view sampler_method_name(SamplerMethod method);
SamplerMethod parse_sampler_method(std::string_view name);  // InputError lists the names

// For help and errors: all names, or those of the methods with a trait, separated by commas.
std::string sampler_names();
std::string sampler_names(bool SamplerTraits::*trait);
// For help: "heun: 2", "all but ddpm, ddim" and "dpmpp_2m: 1 to 3 (default 2), ...".
std::string sampler_evaluations_help();
std::string sampler_sigmas_help();
std::string sampler_orders_help();

}  // namespace ddpm
