// The forward process: how much signal and noise x_t holds at each of T timesteps, in double precision.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace ddpm {

// How beta runs over t; the names in configurations are those of diffusers.
enum class BetaSchedule : uint8_t {
  kLinear,         // "linear": Ho et al. 2020
  kScaledLinear,   // "scaled_linear": sqrt(beta) is linear; Rombach et al. 2022
  kSquaredCosine,  // "squaredcos_cap_v2": alpha_bar is a squared cosine; Nichol & Dhariwal 2021, equation 17
  kSigmoid,        // "sigmoid": beta is a sigmoid over [-6, 6]; Xu et al. 2022 (GeoDiff)
};

std::string_view beta_schedule_name(BetaSchedule schedule);
BetaSchedule parse_beta_schedule(std::string_view name);

enum class TerminalSnr : uint8_t {
  kAsScheduled,
  kZero,  // x_T is shifted and scaled to hold no signal at all: Lin et al. 2023, algorithm 1
};

struct NoiseScheduleOptions {
  BetaSchedule beta_schedule = BetaSchedule::kLinear;
  int timesteps = 1000;      // T
  double beta_start = 1e-4;  // the squared cosine uses neither
  double beta_end = 0.02;
  std::vector<double> trained_betas{};  // where not empty, T values instead of the schedule
  TerminalSnr terminal_snr = TerminalSnr::kAsScheduled;
};

// x_t = signal[t] x_0 + noise_level[t] eps, with t = 0 .. T-1; t = 0 is the paper's t = 1, the first
// noisy step.
class NoiseSchedule {
 public:
  // InputError if T < 1 or a beta is not in (0, 1).
  explicit NoiseSchedule(const NoiseScheduleOptions& options);

  BetaSchedule beta_schedule() const { return beta_schedule_; }
  int timesteps() const { return static_cast<int>(beta_.size()); }
  const std::vector<double>& beta() const { return beta_; }
  const std::vector<double>& alpha_bar() const { return alpha_bar_; }  // product of 1 - beta up to and with t
  const std::vector<double>& signal() const { return signal_; }        // sqrt(alpha_bar)
  const std::vector<double>& noise_level() const { return noise_level_; }  // sqrt(1 - alpha_bar)

  // alpha_bar[t]; 1 for t = -1, the clean image.
  double alpha_bar_or_one(int t) const { return t < 0 ? 1.0 : alpha_bar_.at(static_cast<size_t>(t)); }

 private:
  BetaSchedule beta_schedule_;
  std::vector<double> beta_;
  std::vector<double> alpha_bar_;
  std::vector<double> signal_;
  std::vector<double> noise_level_;
};

// beta of the chain that goes from alpha_bar_previous to alpha_bar in one step.
double chain_beta(double alpha_bar, double alpha_bar_previous);

// Variance of q(x_previous | x_t, x_0): Ho et al. 2020, equation 7, for any two steps of the chain.
double posterior_variance(double alpha_bar, double alpha_bar_previous);

}  // namespace ddpm
