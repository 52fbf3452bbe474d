// The choices of a sampler, by the names that diffusers gives them.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/diffusion.h"

namespace ddpm {

enum class SamplerMethod : uint8_t {
  kDdpm,            // "ddpm": ancestral sampling, Ho et al. 2020
  kDdim,            // "ddim": Song et al. 2021, deterministic at eta = 0
  kDpmpp,           // "dpmpp_2m": DPM-Solver++, multistep, Lu et al. 2022; solver_order 1 to 3
  kDpmppSde,        // "dpmpp_2m_sde": the same for the reverse SDE; solver_order 1 or 2
  kUnipc,           // "unipc": Zhao et al. 2023; solver_order 1 to 3
  kEuler,           // "euler": Karras et al. 2022, algorithm 2 without its second evaluation
  kEulerAncestral,  // "euler_ancestral": part of each step as fresh noise; k-diffusion
  kHeun,            // "heun": Karras et al. 2022, algorithm 1: two evaluations a step, one in the last
};

// How `steps` timesteps are chosen from T (Lin et al. 2023, table 2; the last one is the code of the DDIM
// paper).
enum class TimestepSpacing : uint8_t {
  kLeading,    // "leading": multiples of T / steps from 0
  kTrailing,   // "trailing": multiples of T / steps down from T - 1
  kLinspace,   // "linspace": evenly over 0 .. T - 1, both ends taken
  kQuadratic,  // "quadratic": squares of even steps over [0, 0.8 T], dense at the clean end
};

// Noise levels sigma = noise / signal between the largest and the smallest, for the methods that can be asked
// at any: all but DDPM and DDIM.
enum class SigmaSpacing : uint8_t {
  kTimesteps,    // "timesteps": those of the spaced timesteps
  kKarras,       // "karras": even in sigma^(1/7); Karras et al. 2022, equation 5
  kExponential,  // "exponential": even in ln sigma
};

// The noise level that the last step leads to, for the same methods.
enum class FinalSigma : uint8_t {
  kZero,      // "zero": the clean image
  kSmallest,  // "sigma_min": that of t = 0
};

// The variance of an ancestral step. diffusers also says fixed_small_log and fixed_large_log.
enum class VarianceType : uint8_t {
  kFixedSmall,    // "fixed_small": that of the posterior, right for data that is one point; Ho et al. 2020
  kFixedLarge,    // "fixed_large": beta, right for data that is standard normal; Ho et al. 2020
  kLearnedRange,  // "learned_range": the network chooses between the two; Nichol & Dhariwal 2021
};

// How DPM-Solver++ uses the difference of its last two estimates.
enum class DpmSolverType : uint8_t { kMidpoint, kHeun };

// UniPC's B(h): h, or e^h - 1 (Zhao et al. 2023, section 3.3), which is better at few steps.
enum class UnipcSolverType : uint8_t { kBh1, kBh2 };

// Karras et al. 2022, algorithm 2, as diffusers applies it: noise is added in a step, after the evaluation.
struct Churn {
  double s_churn = 0;  // over all steps; 0: none
  double s_tmin = 0;   // the sigmas that take part
  double s_tmax = std::numeric_limits<double>::infinity();
  double s_noise = 1;
};

// A network that is preconditioned as in Karras et al. 2022, table 1, and so knows no noise schedule.
struct EdmPreconditioning {
  double sigma_data = 0.5;
};

struct SamplerOptions {
  SamplerMethod method = SamplerMethod::kDdim;
  int steps = 50;
  Prediction prediction = Prediction::kEpsilon;

  // Where the network is asked.
  TimestepSpacing timestep_spacing = TimestepSpacing::kLeading;
  int steps_offset = 0;          // added to every timestep; leading spacing alone
  std::vector<int> timesteps{};  // where not empty, falling timesteps instead of `steps` and the spacing
  SigmaSpacing sigma_spacing = SigmaSpacing::kTimesteps;
  std::optional<double> sigma_min{}, sigma_max{};  // ends of karras and exponential; else the schedule's
  FinalSigma final_sigma = FinalSigma::kZero;
  double lambda_min_clipped = -std::numeric_limits<double>::infinity();  // DPM-Solver++: no ln(1/sigma) below
  std::optional<EdmPreconditioning> edm{};  // Euler alone; wants sigma_min and sigma_max

  // What becomes of the estimate of x_0: clipped to +-clip_sample_range, or thresholded (Saharia et al.
  // 2022).
  bool clip_sample = true;
  double clip_sample_range = 1;
  bool thresholding = false;
  double dynamic_thresholding_ratio = 0.995;
  double sample_max_value = 1;

  VarianceType variance_type = VarianceType::kFixedLarge;  // DDPM

  double eta = 0;                         // DDIM: 0 deterministic .. 1 ancestral
  bool set_alpha_to_one = true;           // DDIM: the last step reaches the clean image, or else alpha_bar[0]
  bool use_clipped_model_output = false;  // DDIM: eps follows from x_0 after clipping, as in GLIDE

  int solver_order = 2;  // DPM-Solver++ and UniPC
  DpmSolverType dpm_solver_type = DpmSolverType::kMidpoint;
  UnipcSolverType unipc_solver_type = UnipcSolverType::kBh2;
  bool lower_order_final = true;         // the order falls towards the end (DPM-Solver++: below 15 steps)
  bool euler_at_final = false;           // DPM-Solver++: order 1 in the last step
  bool predict_x0 = true;                // UniPC: in terms of x_0, or else of eps
  std::vector<int> disable_corrector{};  // UniPC: steps whose result is not corrected

  Churn churn{};  // Euler, epsilon prediction, x_0 not clipped
};

std::string_view sampler_method_name(SamplerMethod method);
SamplerMethod parse_sampler_method(std::string_view name);
std::string_view timestep_spacing_name(TimestepSpacing spacing);
TimestepSpacing parse_timestep_spacing(std::string_view name);
std::string_view sigma_spacing_name(SigmaSpacing spacing);
SigmaSpacing parse_sigma_spacing(std::string_view name);
FinalSigma parse_final_sigma(std::string_view name);
std::string_view variance_type_name(VarianceType variance);
VarianceType parse_variance_type(std::string_view name);

// All names, separated by commas: for help.
std::string sampler_method_names();

// InputError where the options contradict each other.
void validate(const SamplerOptions& options);

}  // namespace ddpm
