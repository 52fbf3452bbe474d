// The choices of a sampler, by the names that diffusers gives them.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/diffusion.h"
#include "model/sampling/sampler_methods.h"

namespace ddpm {

// How `steps` timesteps are chosen from T: Lin et al. 2023, table 2, and the DDIM paper's code (kQuadratic).
enum class TimestepSpacing : uint8_t {
  kLeading,    // "leading": multiples of T / steps from 0
  kTrailing,   // "trailing": multiples of T / steps down from T - 1
  kLinspace,   // "linspace": evenly over 0 .. T - 1, both ends included
  kQuadratic,  // "quadratic": squares of even steps over [0, 0.8 T], dense at the clean end
};

// Noise levels sigma = noise / signal, largest first, for methods with SamplerTraits::takes_sigmas().
enum class SigmaSpacing : uint8_t {
  kTimesteps,    // "timesteps": the sigmas of the spaced timesteps
  kKarras,       // "karras": even in sigma^(1/7); Karras et al. 2022, equation 5
  kExponential,  // "exponential": even in ln sigma
};

// The noise level that the last step leads to, for the same methods.
enum class FinalSigma : uint8_t {
  kZero,      // "zero": the clean image
  kSmallest,  // "sigma_min": that of t = 0
};

// The variance of an ancestral step. diffusers' fixed_small_log and fixed_large_log mean the first two.
enum class VarianceType : uint8_t {
  kFixedSmall,    // "fixed_small": the posterior's, exact for a single data point; Ho et al. 2020
  kFixedLarge,    // "fixed_large": beta, exact for standard normal data; Ho et al. 2020
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

// A network preconditioned as in Karras et al. 2022, table 1, which has no noise schedule.
struct EdmPreconditioning {
  double sigma_data = 0.5;
};

struct SamplerOptions {
  SamplerMethod method = SamplerMethod::kDdim;
  int steps = 50;
  Prediction prediction = Prediction::kEpsilon;

  // Where the network is evaluated.
  TimestepSpacing timestep_spacing = TimestepSpacing::kLeading;
  int steps_offset = 0;          // added to every timestep; leading spacing alone
  std::vector<int> timesteps{};  // where not empty, falling timesteps instead of `steps` and the spacing
  SigmaSpacing sigma_spacing = SigmaSpacing::kTimesteps;
  std::optional<double> sigma_min{}, sigma_max{};  // ends of karras and exponential; else the schedule's
  FinalSigma final_sigma = FinalSigma::kZero;
  double lambda_min_clipped = -std::numeric_limits<double>::infinity();  // DPM-Solver++: no ln(1/sigma) below
  std::optional<EdmPreconditioning> edm{};  // Euler alone; needs sigma_min and sigma_max

  // The estimate of x_0 is clipped to +-clip_sample_range, or thresholded (Saharia et al. 2022).
  bool clip_sample = true;
  double clip_sample_range = 1;
  bool thresholding = false;
  double dynamic_thresholding_ratio = 0.995;
  double sample_max_value = 1;

  VarianceType variance_type = VarianceType::kFixedLarge;  // DDPM

  double eta = 0;                         // DDIM: 0 deterministic .. 1 ancestral
  bool set_alpha_to_one = true;           // DDIM: the last step reaches the clean image, or else alpha_bar[0]
  bool use_clipped_model_output = false;  // DDIM: eps follows from x_0 after clipping, as in GLIDE

  std::optional<int> solver_order{};  // DPM-Solver++ and UniPC; absent: the method's default_order
  DpmSolverType dpm_solver_type = DpmSolverType::kMidpoint;
  UnipcSolverType unipc_solver_type = UnipcSolverType::kBh2;
  bool lower_order_final = true;         // the order falls towards the end (DPM-Solver++: below 15 steps)
  bool euler_at_final = false;           // DPM-Solver++: the last step has order 1
  bool predict_x0 = true;                // UniPC: in terms of x_0, or else of eps
  std::vector<int> disable_corrector{};  // UniPC: steps whose result is not corrected

  Churn churn{};  // Euler, epsilon prediction, x_0 not clipped
};

std::string_view timestep_spacing_name(TimestepSpacing spacing);
TimestepSpacing parse_timestep_spacing(std::string_view name);
std::string_view sigma_spacing_name(SigmaSpacing spacing);
SigmaSpacing parse_sigma_spacing(std::string_view name);
std::string_view final_sigma_name(FinalSigma sigma);
FinalSigma parse_final_sigma(std::string_view name);
std::string_view variance_type_name(VarianceType variance);
VarianceType parse_variance_type(std::string_view name);

// solver_order, or the method's default.
int solver_order(const SamplerOptions& options);

// InputError if the options contradict each other.
void validate(const SamplerOptions& options);

}  // namespace ddpm
