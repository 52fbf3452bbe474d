// Euler's and Heun's methods over sigma (Karras et al. 2022, algorithms 1 and 2). They are published for
// X = x0 + sigma eps; x is signal X here, at the last level too unless that is where the images are handed
// over: then x is X.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "model/sampling/sampler_methods.h"

namespace ddpm {
namespace {

LinearForm scaled_x(const NoiseLevel& level) { return 1 / level.signal * LinearForm::x(); }

// dX / dsigma, equation 3.
LinearForm slope(const NoiseLevel& level) { return 1 / level.sigma() * (scaled_x(level) - LinearForm::x0()); }

double scale_at(const std::vector<NoiseLevel>& levels, size_t k) {
  return k + 1 < levels.size() ? levels[k].signal : 1;
}

// diffusers starts from noise alone where the first level is the schedule's last, else from as much as makes
// the variance that of noise and data of variance 1.
double start_deviation(const NoiseLevel& first, const SamplerOptions& options) {
  const bool from_noise_alone = !options.edm && (options.timestep_spacing == TimestepSpacing::kLinspace ||
                                                 options.timestep_spacing == TimestepSpacing::kTrailing);
  return from_noise_alone ? first.noise_level : first.signal * std::hypot(first.sigma(), 1.0);
}

// By how much sigma grows in a step that takes part in the churn.
double churn_factor(double sigma, size_t steps, const Churn& churn) {
  if (sigma < churn.s_tmin || sigma > churn.s_tmax) return 1;
  return 1 + std::min(churn.s_churn / static_cast<double>(steps), std::numbers::sqrt2 - 1);
}

LinearForm churned_euler_step(const NoiseLevel& level, double next_sigma, double factor,
                              const SamplerOptions& options) {
  const double sigma = level.sigma();
  const NoiseLevel hat = {.timestep = level.timestep, .signal = 1, .noise_level = sigma * factor};
  const double added = sigma * std::sqrt(factor * factor - 1) * options.churn.s_noise;
  const LinearForm x = scaled_x(level) + added * LinearForm::noise();
  // x0 as the output at sigma tells it of the noisier x. EDM's x0 depends on sigma alone, not on its c_in.
  const SamplerRow<double> row = row_at(hat, options);
  LinearForm x0 = row.x0_from_output * LinearForm::output();
  x0 += row.x0_from_x * x;
  return x + (next_sigma - hat.sigma()) / hat.sigma() * (x - x0);
}

// k-diffusion's sample_euler_ancestral: down to a lower level than the next one, and up with fresh noise.
LinearForm ancestral_euler_step(const NoiseLevel& level, double next_sigma) {
  const double sigma = level.sigma();
  const double up = next_sigma * std::sqrt(1 - next_sigma * next_sigma / (sigma * sigma));
  const double down = next_sigma * next_sigma / sigma;
  return scaled_x(level) + (down - sigma) * slope(level) + up * LinearForm::noise();
}

}  // namespace

SamplerTable euler_table(const std::vector<NoiseLevel>& levels, const SamplerOptions& options) {
  const size_t steps = levels.size() - 1;
  SamplerTable table;
  table.start_deviation = start_deviation(levels[0], options);
  for (size_t k = 0; k < steps; ++k) {
    SamplerRow<double> row = row_at(levels[k], options);
    const double sigma = levels[k].sigma(), next_sigma = levels[k + 1].sigma();
    const double factor = churn_factor(sigma, steps, options.churn);
    LinearForm next = scaled_x(levels[k]) + (next_sigma - sigma) * slope(levels[k]);
    if (options.method == SamplerMethod::kEulerAncestral) next = ancestral_euler_step(levels[k], next_sigma);
    if (factor > 1) next = churned_euler_step(levels[k], next_sigma, factor, options);
    set_x(row, scale_at(levels, k + 1) * next);
    table.rows.push_back(row);
  }
  return table;
}

SamplerTable heun_table(const std::vector<NoiseLevel>& levels, const SamplerOptions& options) {
  const size_t steps = levels.size() - 1;
  SamplerTable table;
  table.start_deviation = start_deviation(levels[0], options);
  table.history_size = 1;
  for (size_t k = 0; k < steps; ++k) {
    const NoiseLevel& from = levels[k];
    const NoiseLevel& to = levels[k + 1];
    const double change = to.sigma() - from.sigma();
    SamplerRow<double> first = row_at(from, options);
    set_x(first, scale_at(levels, k + 1) * (scaled_x(from) + change * slope(from)));
    const bool has_second = k + 1 < steps;  // the paper: where the next sigma is 0 there is no slope
    if (has_second) set_history(first, 0, scaled_x(from) + change / 2 * slope(from));
    table.rows.push_back(first);
    if (!has_second) break;
    SamplerRow<double> second = row_at(to, options);
    set_x(second, to.signal * (LinearForm::history(0) + change / 2 * slope(to)));
    table.rows.push_back(second);
  }
  return table;
}

}  // namespace ddpm
