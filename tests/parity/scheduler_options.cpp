#include "tests/parity/scheduler_options.h"

#include <nlohmann/json.hpp>

#include "support/error.h"

namespace ddpm::parity {
namespace {

SamplerMethod method_of(const std::string& class_name, const nlohmann::json& config) {
  if (class_name == "DDPMScheduler") return SamplerMethod::kDdpm;
  if (class_name == "DDIMScheduler") return SamplerMethod::kDdim;
  if (class_name == "UniPCMultistepScheduler") return SamplerMethod::kUnipc;
  if (class_name == "HeunDiscreteScheduler") return SamplerMethod::kHeun;
  if (class_name == "DPMSolverMultistepScheduler")
    return config.value("algorithm_type", "dpmsolver++") == "sde-dpmsolver++" ? SamplerMethod::kDpmppSde
                                                                              : SamplerMethod::kDpmpp;
  DDPM_CHECK(class_name == "EulerDiscreteScheduler" || class_name == "EDMEulerScheduler");
  return SamplerMethod::kEuler;
}

Prediction prediction_of(const nlohmann::json& config) {
  const std::string name = config.value("prediction_type", "epsilon");
  if (name == "sample") return Prediction::kSample;
  return name == "epsilon" ? Prediction::kEpsilon : Prediction::kVelocity;
}

void read_sigmas(const nlohmann::json& config, SamplerOptions& options) {
  if (config.value("use_karras_sigmas", false)) options.sigma_spacing = SigmaSpacing::kKarras;
  if (config.contains("sigma_min")) options.sigma_min = config["sigma_min"].get<double>();
  if (config.contains("sigma_max")) options.sigma_max = config["sigma_max"].get<double>();
  if (config.value("final_sigmas_type", "zero") == "sigma_min") options.final_sigma = FinalSigma::kSmallest;
  options.lambda_min_clipped = config.value("lambda_min_clipped", options.lambda_min_clipped);
}

void read_edm(const nlohmann::json& config, SamplerOptions& options) {
  options.edm = EdmPreconditioning{.sigma_data = config.value("sigma_data", 0.5)};
  options.sigma_min = config.value("sigma_min", 0.002);
  options.sigma_max = config.value("sigma_max", 80.0);
  options.sigma_spacing = config.value("sigma_schedule", "karras") == "karras" ? SigmaSpacing::kKarras
                                                                               : SigmaSpacing::kExponential;
}

void read_solver(const nlohmann::json& config, SamplerOptions& options) {
  options.solver_order = config.value("solver_order", 2);
  if (config.value("solver_type", "midpoint") == "heun") options.dpm_solver_type = DpmSolverType::kHeun;
  if (config.value("solver_type", "bh2") == "bh1") options.unipc_solver_type = UnipcSolverType::kBh1;
  options.lower_order_final = config.value("lower_order_final", true);
  options.euler_at_final = config.value("euler_at_final", false);
  options.predict_x0 = config.value("predict_x0", true);
  options.disable_corrector = config.value("disable_corrector", std::vector<int>());
}

void read_step(const nlohmann::json& step, SamplerOptions& options) {
  options.eta = step.value("eta", 0.0);
  options.use_clipped_model_output = step.value("use_clipped_model_output", false);
  options.churn = {.s_churn = step.value("s_churn", 0.0),
                   .s_tmin = step.value("s_tmin", options.churn.s_tmin),
                   .s_tmax = step.value("s_tmax", options.churn.s_tmax),
                   .s_noise = step.value("s_noise", 1.0)};
}

}  // namespace

NoiseScheduleOptions schedule_options(const std::string& class_name, const nlohmann::json& config) {
  const bool is_heun = class_name == "HeunDiscreteScheduler";
  NoiseScheduleOptions options;
  options.beta_schedule = parse_beta_schedule(config.value("beta_schedule", "linear"));
  options.timesteps = config.value("num_train_timesteps", 1000);
  options.beta_start = config.value("beta_start", is_heun ? 0.00085 : 1e-4);
  options.beta_end = config.value("beta_end", is_heun ? 0.012 : 0.02);
  options.trained_betas = config.value("trained_betas", std::vector<double>());
  if (config.value("rescale_betas_zero_snr", false)) options.terminal_snr = TerminalSnr::kZero;
  return options;
}

SamplerOptions sampler_options(const std::string& class_name, const nlohmann::json& test) {
  const nlohmann::json& config = test["config"];
  const nlohmann::json& timesteps = test["set_timesteps"];
  SamplerOptions options;
  options.method = method_of(class_name, config);
  const bool is_ancestral = options.method == SamplerMethod::kDdpm || options.method == SamplerMethod::kDdim;
  options.prediction = prediction_of(config);
  options.steps = timesteps.value("num_inference_steps", 0);
  options.timesteps = timesteps.value("timesteps", std::vector<int>());
  options.timestep_spacing =
      parse_timestep_spacing(config.value("timestep_spacing", is_ancestral ? "leading" : "linspace"));
  options.steps_offset = config.value("steps_offset", 0);
  options.variance_type = parse_variance_type(config.value("variance_type", "fixed_small"));
  options.set_alpha_to_one = config.value("set_alpha_to_one", true);
  options.clip_sample = config.value("clip_sample", is_ancestral);
  options.clip_sample_range = config.value("clip_sample_range", 1.0);
  options.thresholding = config.value("thresholding", false);
  options.dynamic_thresholding_ratio = config.value("dynamic_thresholding_ratio", 0.995);
  options.sample_max_value = config.value("sample_max_value", 1.0);
  if (class_name == "EDMEulerScheduler")
    read_edm(config, options);
  else
    read_sigmas(config, options);
  read_solver(config, options);
  read_step(test["step"], options);
  return options;
}

}  // namespace ddpm::parity
