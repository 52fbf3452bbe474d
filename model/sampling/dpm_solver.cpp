// DPM-Solver++ (Lu et al. 2022) as a multistep method: x moves from level s to level t by an exponential
// integrator, h = lambda_t - lambda_s, in which x0 as a function of lambda is a polynomial through its last
// estimates. The SDE form (the same paper, section 5) forgets x twice as fast and adds what it forgets as
// noise: all of it is the ODE form with 2 h for h, but for the weight of x.
#include <algorithm>
#include <cmath>

#include "model/sampling/sampler_methods.h"

namespace ddpm {
namespace {

// Below as many steps diffusers lowers the order in the last two.
constexpr size_t kFewSteps = 15;

struct Step {
  size_t k;  // from levels[k] to levels[k + 1]
  int order;
};

int order_of(size_t k, size_t steps, const SamplerOptions& options) {
  const size_t left = steps - k;  // with this one
  int order = std::min(options.solver_order, static_cast<int>(k) + 1);
  const bool falls = options.lower_order_final && steps < kFewSteps;
  if (falls) order = std::min(order, static_cast<int>(left));
  // The last lambda is infinite where the image is to be clean, so there is no slope.
  const bool ends_first_order = options.euler_at_final || options.final_sigma == FinalSigma::kZero;
  return left == 1 && ends_first_order ? 1 : order;
}

// The derivatives of x0 by lambda at the level of row k, times h and h^2: divided differences through the
// last `order` estimates.
struct Differences {
  LinearForm first, second;
};
Differences differences(const std::vector<NoiseLevel>& levels, Step step, const LinearForm* estimates) {
  if (step.order == 1) return {};
  const size_t k = step.k;
  const double h = levels[k + 1].lambda() - levels[k].lambda();
  const double r0 = (levels[k].lambda() - levels[k - 1].lambda()) / h;
  const LinearForm newer = 1 / r0 * (estimates[0] - estimates[1]);
  if (step.order == 2) return {.first = newer, .second = {}};
  const double r1 = (levels[k - 1].lambda() - levels[k - 2].lambda()) / h;
  const LinearForm older = 1 / r1 * (estimates[1] - estimates[2]);
  const LinearForm change = newer - older;
  return {.first = newer + r0 / (r0 + r1) * change, .second = 1 / (r0 + r1) * change};
}

// The estimates are the x0 of this row, of the one before and of the one before that.
LinearForm next_x(const std::vector<NoiseLevel>& levels, Step step, const LinearForm* estimates,
                  const SamplerOptions& options) {
  const NoiseLevel& from = levels[step.k];
  const NoiseLevel& to = levels[step.k + 1];
  const bool is_sde = options.method == SamplerMethod::kDpmppSde;
  const double h = to.lambda() - from.lambda();
  const double rate = is_sde ? 2 * h : h;
  const double gained = -std::expm1(-rate);
  const Differences slope = differences(levels, step, estimates);

  LinearForm next = to.noise_level / from.noise_level * (is_sde ? std::exp(-h) : 1.0) * LinearForm::x() +
                    to.signal * gained * estimates[0];
  if (is_sde) next += to.noise_level * std::sqrt(gained) * LinearForm::noise();
  if (step.order == 1) return next;
  const bool is_midpoint = step.order == 2 && options.dpm_solver_type == DpmSolverType::kMidpoint;
  next += to.signal * (is_midpoint ? 0.5 * gained : 1 - gained / rate) * slope.first;
  if (step.order == 3) next += to.signal * (0.5 - (rate - gained) / (rate * rate)) * slope.second;
  return next;
}

}  // namespace

SamplerTable dpm_solver_table(const std::vector<NoiseLevel>& levels, const SamplerOptions& options) {
  const size_t steps = levels.size() - 1;
  SamplerTable table;
  table.history_size = options.solver_order - 1;
  // Estimates lie in the history_size in turn.
  const auto slot_of = [&](size_t k) {
    return static_cast<int>(k % static_cast<size_t>(table.history_size));
  };
  for (size_t k = 0; k < steps; ++k) {
    SamplerRow<double> row = row_at(levels[k], options);
    LinearForm estimates[3] = {LinearForm::x0(), {}, {}};
    for (size_t age = 1; age <= std::min<size_t>(k, static_cast<size_t>(table.history_size)); ++age)
      estimates[age] = LinearForm::history(slot_of(k - age));
    set_x(row, next_x(levels, {.k = k, .order = order_of(k, steps, options)}, estimates, options));
    if (table.history_size > 0 && k + 1 < steps) set_history(row, slot_of(k), LinearForm::x0());
    table.rows.push_back(row);
  }
  return table;
}

}  // namespace ddpm
