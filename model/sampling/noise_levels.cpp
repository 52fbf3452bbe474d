#include "model/sampling/noise_levels.h"

#include <algorithm>

#include "support/error.h"

namespace ddpm {
namespace {

constexpr double kSmallestAlphaBar = 0x1p-24;
constexpr double kRho = 7;  // Karras et al. 2022, section 3

double sigma_of(double alpha_bar) {
  const double floored = std::max(alpha_bar, kSmallestAlphaBar);
  return std::sqrt((1 - floored) / floored);
}

NoiseLevel level_of(double timestep, double sigma) {
  const double signal = 1 / std::sqrt(1 + sigma * sigma);
  return {.timestep = timestep, .signal = signal, .noise_level = sigma * signal};
}

// How many timesteps from t = 0 on have lambda of at least the limit.
int timesteps_above(double lambda_min, const NoiseSchedule& schedule) {
  const auto& alpha_bar = schedule.alpha_bar();
  const auto below = std::partition_point(alpha_bar.begin(), alpha_bar.end(), [lambda_min](double value) {
    return -std::log(sigma_of(value)) >= lambda_min;
  });
  return static_cast<int>(below - alpha_bar.begin());
}

// The rising timesteps 0 .. count - 1 of a spacing over [0, last), before any offset. Halves round to even,
// as NumPy rounds.
double leading_timestep(int last, int count, int k) {
  const int stride = last / count;  // whole
  return static_cast<double>(k) * stride;
}
double linspace_timestep(int last, int count, int k) {
  if (count == 1) return 0;
  return k == count - 1 ? last - 1 : k * (static_cast<double>(last - 1) / (count - 1));
}
double quadratic_timestep(int last, int count, int k) {
  if (count == 1) return 0;
  const double root = k * (std::sqrt(0.8 * last) / (count - 1));
  return std::trunc(root * root);
}

std::vector<double> falling_trailing_timesteps(int timesteps, int last, int steps) {
  std::vector<double> falling;
  for (int k = 0; k < steps; ++k) {
    const double timestep = std::nearbyint(last - k * (static_cast<double>(timesteps) / steps)) - 1;
    if (timestep >= 0) falling.push_back(timestep);
  }
  return falling;
}

std::vector<double> spaced_timesteps(const NoiseSchedule& schedule, const SamplerOptions& options) {
  const SamplerTraits& traits = sampler_traits(options.method);
  const int last =
      traits.takes_lambda_min ? timesteps_above(options.lambda_min_clipped, schedule) : schedule.timesteps();
  if (options.timestep_spacing == TimestepSpacing::kTrailing)
    return falling_trailing_timesteps(schedule.timesteps(), last, options.steps);

  const bool is_quadratic = options.timestep_spacing == TimestepSpacing::kQuadratic;
  const int first = traits.levels == SamplerLevels::kMultistep && !is_quadratic ? 1 : 0;
  const int count = options.steps + first;
  std::vector<double> falling;
  for (int k = count - 1; k >= first; --k) {
    if (options.timestep_spacing == TimestepSpacing::kLeading) {
      falling.push_back(leading_timestep(last, count, k) + options.steps_offset);
    } else if (is_quadratic) {
      falling.push_back(quadratic_timestep(last, count, k));
    } else {
      const double timestep = linspace_timestep(last, count, k);
      falling.push_back(traits.levels == SamplerLevels::kContinuous ? timestep : std::nearbyint(timestep));
    }
  }
  if (is_quadratic) falling.erase(std::unique(falling.begin(), falling.end()), falling.end());
  return falling;
}

void check_timesteps(const std::vector<double>& timesteps, int count) {
  if (timesteps.empty()) throw_input("no timestep is left to sample at: lower lambda_min_clipped");
  for (size_t k = 0; k < timesteps.size(); ++k) {
    if (timesteps[k] < 0 || timesteps[k] > count - 1)
      throw_input(
          "sampling needs timestep {}, but the schedule has 0 to {}: use fewer steps or a smaller offset",
          timesteps[k], count - 1);
    if (k > 0 && timesteps[k] >= timesteps[k - 1])
      throw_input("sampling timestep {} follows {}: they must fall; use fewer steps", timesteps[k],
                  timesteps[k - 1]);
  }
}

std::vector<double> schedule_sigmas(const NoiseSchedule& schedule) {
  std::vector<double> sigmas;
  for (const double alpha_bar : schedule.alpha_bar()) sigmas.push_back(sigma_of(alpha_bar));
  return sigmas;
}

double interpolate(const std::vector<double>& values, double position) {
  const auto below = std::min(static_cast<size_t>(position), values.size() - 1);
  const size_t above = std::min(below + 1, values.size() - 1);
  return values[below] + (position - static_cast<double>(below)) * (values[above] - values[below]);
}

// The timestep of a sigma, by interpolating ln sigma between those of the schedule.
double timestep_of(double sigma, const std::vector<double>& sigmas) {
  if (sigma >= sigmas.back()) return static_cast<double>(sigmas.size() - 1);
  const auto above = std::upper_bound(sigmas.begin(), sigmas.end(), sigma);
  if (above == sigmas.begin()) return 0;
  const auto below = above - 1;
  return static_cast<double>(below - sigmas.begin()) + std::log(sigma / *below) / std::log(*above / *below);
}

// The k-th of `count` sigmas that fall from the largest to the smallest.
double spaced_sigma(SigmaSpacing spacing, double smallest, double largest, int k, int count) {
  const double ramp = count == 1 ? 0 : static_cast<double>(k) / (count - 1);
  if (spacing == SigmaSpacing::kExponential)
    return std::exp(std::log(largest) + ramp * (std::log(smallest) - std::log(largest)));
  const double from = std::pow(largest, 1 / kRho);
  return std::pow(from + ramp * (std::pow(smallest, 1 / kRho) - from), kRho);
}

bool rounds_timestep(const NoiseSchedule& schedule, TimestepRounding rounding) {
  if (rounding == TimestepRounding::kUnlessSquaredCosine)
    return schedule.beta_schedule() != BetaSchedule::kSquaredCosine;
  return rounding == TimestepRounding::kAlways;
}

std::vector<NoiseLevel> levels_at(const std::vector<double>& timesteps, const std::vector<double>& sigmas) {
  std::vector<NoiseLevel> levels;
  levels.reserve(timesteps.size() + 1);  // and the final one, for the caller
  for (const double timestep : timesteps) levels.push_back(level_of(timestep, interpolate(sigmas, timestep)));
  return levels;
}

std::vector<NoiseLevel> spaced_levels(const NoiseSchedule& schedule, const SamplerOptions& options,
                                      const std::vector<double>& timesteps,
                                      const std::vector<double>& sigmas) {
  const SamplerTraits& traits = sampler_traits(options.method);
  const bool spans_all = traits.levels == SamplerLevels::kMultistep;
  const double smallest =
      options.sigma_min.value_or(spans_all ? sigmas.front() : interpolate(sigmas, timesteps.back()));
  const double largest =
      options.sigma_max.value_or(spans_all ? sigmas.back() : interpolate(sigmas, timesteps.front()));
  const auto count = static_cast<int>(timesteps.size());
  std::vector<NoiseLevel> levels;
  for (int k = 0; k < count; ++k) {
    const double sigma = spaced_sigma(options.sigma_spacing, smallest, largest, k, count);
    const double timestep = timestep_of(sigma, sigmas);
    levels.push_back(
        level_of(rounds_timestep(schedule, traits.rounding) ? std::nearbyint(timestep) : timestep, sigma));
  }
  return levels;
}

// Karras et al. 2022, table 1: the network's input is c_in x, its time ln(sigma) / 4.
std::vector<NoiseLevel> edm_levels(const SamplerOptions& options) {
  std::vector<NoiseLevel> levels;
  for (int k = 0; k < options.steps; ++k) {
    const double sigma =
        spaced_sigma(options.sigma_spacing, *options.sigma_min, *options.sigma_max, k, options.steps);
    const double c_in = 1 / std::hypot(sigma, options.edm->sigma_data);
    levels.push_back({.timestep = std::log(sigma) / 4, .signal = c_in, .noise_level = c_in * sigma});
  }
  return levels;
}

}  // namespace

std::vector<double> sampling_timesteps(const NoiseSchedule& schedule, const SamplerOptions& options) {
  std::vector<double> timesteps(options.timesteps.begin(), options.timesteps.end());
  if (timesteps.empty()) {
    if (options.steps < 1 || options.steps > schedule.timesteps())
      throw_input("sampling in {} steps: choose 1 to {}, the timesteps of the noise schedule", options.steps,
                  schedule.timesteps());
    timesteps = spaced_timesteps(schedule, options);
  }
  check_timesteps(timesteps, schedule.timesteps());
  return timesteps;
}

std::vector<NoiseLevel> sampling_levels(const NoiseSchedule& schedule, const SamplerOptions& options) {
  std::vector<NoiseLevel> levels;
  double smallest = 0;
  if (options.edm) {
    if (options.steps < 1) throw_input("sampling in {} steps: choose at least 1", options.steps);
    levels = edm_levels(options);
    smallest = *options.sigma_min;
  } else {
    const std::vector<double> timesteps = sampling_timesteps(schedule, options);
    const std::vector<double> sigmas = schedule_sigmas(schedule);
    levels = options.sigma_spacing == SigmaSpacing::kTimesteps
                 ? levels_at(timesteps, sigmas)
                 : spaced_levels(schedule, options, timesteps, sigmas);
    smallest = sigmas.front();
  }
  levels.push_back(level_of(0, options.final_sigma == FinalSigma::kZero ? 0 : smallest));
  return levels;
}

}  // namespace ddpm
