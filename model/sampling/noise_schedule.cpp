#include "model/sampling/noise_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "support/enum_names.h"
#include "support/error.h"

namespace ddpm {
namespace {

constexpr EnumName<BetaSchedule> kBetaSchedules[] = {
    {BetaSchedule::kLinear, "linear"},
    {BetaSchedule::kScaledLinear, "scaled_linear"},
    {BetaSchedule::kSquaredCosine, "squaredcos_cap_v2"},
    {BetaSchedule::kSigmoid, "sigmoid"},
};

// The i-th of n values that run evenly from start to end; n = 1 gives start.
double evenly(double start, double end, int i, int n) {
  return n == 1 ? start : start + (end - start) * i / (n - 1);
}

// Nichol & Dhariwal 2021, equation 17; u = t/T, 0.008 keeps the first betas from vanishing.
double squared_cosine_alpha_bar(double u) {
  const double cosine = std::cos((u + 0.008) / 1.008 * std::numbers::pi / 2);
  return cosine * cosine;
}

double scheduled_beta(const NoiseScheduleOptions& options, int t) {
  const double start = options.beta_start;
  const double end = options.beta_end;
  const int n = options.timesteps;
  switch (options.beta_schedule) {
    case BetaSchedule::kLinear:
      return evenly(start, end, t, n);
    case BetaSchedule::kScaledLinear:
      return std::pow(evenly(std::sqrt(start), std::sqrt(end), t, n), 2);
    case BetaSchedule::kSquaredCosine: {
      constexpr double kMaxBeta = 0.999;  // the same source: no singularity at the end
      const double ratio =
          squared_cosine_alpha_bar((t + 1.0) / n) / squared_cosine_alpha_bar(static_cast<double>(t) / n);
      return std::min(1 - ratio, kMaxBeta);
    }
    case BetaSchedule::kSigmoid:
      return start + (end - start) / (1 + std::exp(-evenly(-6, 6, t, n)));
  }
  DDPM_CHECK(!"a schedule that is not in the enum");
  return 0;
}

constexpr int kMaxTimesteps = 1'000'000;  // published ones have up to 4000; tables hold all of them

std::vector<double> choose_betas(const NoiseScheduleOptions& options) {
  if (!options.trained_betas.empty()) {
    if (options.trained_betas.size() != static_cast<size_t>(std::max(options.timesteps, 0)))
      throw_input("trained_betas: expected one for each of the timesteps, got {} for {}",
                  options.trained_betas.size(), options.timesteps);
    return options.trained_betas;
  }
  if (options.timesteps < 1 || options.timesteps > kMaxTimesteps)
    throw_input("a noise schedule of {} timesteps: choose 1 to {}", options.timesteps, kMaxTimesteps);
  std::vector<double> betas;
  betas.reserve(static_cast<size_t>(options.timesteps));
  for (int t = 0; t < options.timesteps; ++t) betas.push_back(scheduled_beta(options, t));
  return betas;
}

// Lin et al. 2023, algorithm 1: sqrt(alpha_bar) is shifted so that the last is 0, then scaled so that the
// first stays.
void rescale_to_zero_terminal_snr(std::vector<double>& alpha_bar) {
  const double first = std::sqrt(alpha_bar.front());
  const double last = std::sqrt(alpha_bar.back());
  if (!(first > last)) throw_input("zero terminal SNR needs at least 2 timesteps: use more, or leave it off");
  for (double& value : alpha_bar) value = std::pow((std::sqrt(value) - last) * first / (first - last), 2);
}

}  // namespace

std::string_view beta_schedule_name(BetaSchedule schedule) { return enum_name(kBetaSchedules, schedule); }

BetaSchedule parse_beta_schedule(std::string_view name) {
  return parse_enum(kBetaSchedules, "beta schedule", name);
}

NoiseSchedule::NoiseSchedule(const NoiseScheduleOptions& options)
    : beta_schedule_(options.beta_schedule), beta_(choose_betas(options)) {
  double product = 1;
  for (size_t t = 0; t < beta_.size(); ++t) {
    if (!(beta_[t] > 0 && beta_[t] < 1))
      throw_input("beta is {} at timestep {}: it must lie between 0 and 1; see {}", beta_[t], t,
                  options.trained_betas.empty() ? "beta_start, beta_end and beta_schedule" : "trained_betas");
    product *= 1 - beta_[t];
    alpha_bar_.push_back(product);
  }
  if (options.terminal_snr == TerminalSnr::kZero) {
    rescale_to_zero_terminal_snr(alpha_bar_);
    for (int t = 0; t < timesteps(); ++t)
      beta_[static_cast<size_t>(t)] = chain_beta(alpha_bar_[static_cast<size_t>(t)], alpha_bar_or_one(t - 1));
  }
  for (const double value : alpha_bar_) {
    signal_.push_back(std::sqrt(value));
    noise_level_.push_back(std::sqrt(1 - value));
  }
}

double chain_beta(double alpha_bar, double alpha_bar_previous) { return 1 - alpha_bar / alpha_bar_previous; }

double posterior_variance(double alpha_bar, double alpha_bar_previous) {
  return (1 - alpha_bar_previous) / (1 - alpha_bar) * chain_beta(alpha_bar, alpha_bar_previous);
}

}  // namespace ddpm
