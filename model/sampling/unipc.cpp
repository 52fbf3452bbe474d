// UniPC (Zhao et al. 2023, algorithm 1): x moves from one noise level to the next by an exponential
// integrator over lambda, first as predicted from the last estimates, and again, corrected, once the network
// has answered at the new level. The answer serves the next prediction too, so a step costs one evaluation.
//
// The correction of the step from level k needs x and the estimates of that time. All of it but the term of
// the new estimate is known then: row k leaves it in history 0, and row k + 1 adds that term.
#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "model/sampling/sampler_methods.h"
#include "support/error.h"

namespace ddpm {
namespace {

constexpr int kMostOrders = 3;
using Weights = std::array<double, kMostOrders>;

// Solves sum_j nodes[j]^i weights[j] = moments[i] for i < count, by elimination (Bjorck & Pereyra 1970).
Weights solve_vandermonde(const Weights& nodes, Weights moments, int count) {
  for (int k = 0; k < count - 1; ++k)
    for (int i = count - 1; i > k; --i) moments[i] -= nodes[k] * moments[i - 1];
  for (int k = count - 2; k >= 0; --k) {
    for (int i = k + 1; i < count; ++i) moments[i] /= nodes[i] - nodes[i - k - 1];
    for (int i = k; i < count - 1; ++i) moments[i] -= moments[i + 1];
  }
  return moments;
}

// The step from levels[k] in terms of x0 or of eps: Zhao et al. 2023, equations 8 and 9.
class Step {
 public:
  Step(const std::vector<NoiseLevel>& levels, size_t k, int order, const SamplerOptions& options)
      : order_(order) {
    const NoiseLevel& from = levels[k];
    const NoiseLevel& to = levels[k + 1];
    const double h = to.lambda() - from.lambda();
    exponent_ = options.predict_x0 ? -h : h;
    b_h_ = options.unipc_solver_type == UnipcSolverType::kBh1 ? exponent_ : std::expm1(exponent_);
    x_weight_ = options.predict_x0 ? to.noise_level / from.noise_level : to.signal / from.signal;
    scale_ = options.predict_x0 ? to.signal : to.noise_level;
    for (int i = 1; i < order; ++i) nodes_[i - 1] = (levels[k - i].lambda() - from.lambda()) / h;
    nodes_[order - 1] = 1;  // the end of the step: the corrector's node
  }

  // estimates: at level k, k - 1, ...
  LinearForm predicted(const LinearForm& x, const LinearForm* estimates) const {
    LinearForm next = first_order(x, estimates[0]);
    if (order_ == 1) return next;
    // At order 2 the paper's condition, exact up to O(h), is met by 1/2 at any h.
    const Weights weights = order_ == 2 ? Weights{0.5} : solve_vandermonde(nodes_, moments(), order_ - 1);
    return next += slopes(weights, estimates);
  }

  // All but the term of the estimate at the end of the step.
  LinearForm corrected_before(const LinearForm& x, const LinearForm* estimates) const {
    const Weights weights = corrector_weights();
    return first_order(x, estimates[0]) + slopes(weights, estimates) - correction() * estimates[0];
  }
  // The weight of that estimate.
  double correction() const { return -scale_ * b_h_ * corrector_weights()[order_ - 1]; }

 private:
  LinearForm first_order(const LinearForm& x, const LinearForm& estimate) const {
    return x_weight_ * x - scale_ * std::expm1(exponent_) * estimate;
  }

  LinearForm slopes(const Weights& weights, const LinearForm* estimates) const {
    LinearForm sum;
    for (int i = 1; i < order_; ++i) sum += weights[i - 1] / nodes_[i - 1] * (estimates[i] - estimates[0]);
    return -scale_ * b_h_ * sum;
  }

  Weights corrector_weights() const {
    return order_ == 1 ? Weights{0.5} : solve_vandermonde(nodes_, moments(), order_);
  }

  // i! phi_{i+1} / B(h) of equation 9.
  Weights moments() const {
    Weights moments = {};
    double phi = std::expm1(exponent_) / exponent_ - 1;
    double factorial = 1;
    for (int i = 0; i < order_; ++i) {
      moments[i] = phi * factorial / b_h_;
      factorial *= i + 2;
      phi = phi / exponent_ - 1 / factorial;
    }
    return moments;
  }

  int order_;
  double exponent_, b_h_, x_weight_, scale_;
  Weights nodes_ = {};
};

// The network's eps in terms of x and x0.
LinearForm epsilon(const NoiseLevel& level) {
  return 1 / level.noise_level * (LinearForm::x() - level.signal * LinearForm::x0());
}

int order_of(size_t k, size_t steps, const SamplerOptions& options) {
  const int order = std::min(options.solver_order, static_cast<int>(k) + 1);
  return options.lower_order_final ? std::min(order, static_cast<int>(steps - k)) : order;
}

void check_final_step(const std::vector<NoiseLevel>& levels, const SamplerOptions& options) {
  const size_t steps = levels.size() - 1;
  const bool ends_clean = options.final_sigma == FinalSigma::kZero;
  if (ends_clean && (!options.predict_x0 || order_of(steps - 1, steps, options) > 1))
    throw_input(
        "UniPC cannot reach the clean image in terms of eps or at order 2 and above: set final_sigma to "
        "sigma_min, or leave predict_x0 and lower_order_final on");
  constexpr double kRounding = 1e-9;  // of the powers and logarithms behind sigmas
  if (levels[steps].noise_level > (1 - kRounding) * levels[steps - 1].noise_level)
    throw_input("UniPC's last step is empty: its sigmas end at sigma_min already");
}

bool is_corrected(size_t k, size_t steps, const SamplerOptions& options) {
  const auto& off = options.disable_corrector;
  return k + 1 < steps && std::find(off.begin(), off.end(), static_cast<int>(k)) == off.end();
}

}  // namespace

SamplerTable unipc_table(const std::vector<NoiseLevel>& levels, const SamplerOptions& options) {
  check_final_step(levels, options);
  const size_t steps = levels.size() - 1;
  const auto kept = static_cast<size_t>(options.solver_order - 1);  // estimates, in history 1 on in turn
  const auto slot_of = [kept](size_t k) { return 1 + static_cast<int>(k % kept); };
  SamplerTable table;
  table.history_size = options.solver_order;
  double correction = 0;  // the step to this row's level, where it is corrected
  for (size_t k = 0; k < steps; ++k) {
    SamplerRow<double> row = row_at(levels[k], options);
    LinearForm estimates[kMostOrders] = {options.predict_x0 ? LinearForm::x0() : epsilon(levels[k])};
    for (size_t age = 1; age <= std::min(k, kept); ++age)
      estimates[age] = LinearForm::history(slot_of(k - age));
    const bool was_corrected = k > 0 && is_corrected(k - 1, steps, options);
    const LinearForm x = was_corrected ? LinearForm::history(0) + correction * estimates[0] : LinearForm::x();

    const Step step(levels, k, order_of(k, steps, options), options);
    set_x(row, step.predicted(x, estimates));
    if (is_corrected(k, steps, options)) {
      set_history(row, 0, step.corrected_before(x, estimates));
      correction = step.correction();
    }
    if (kept > 0 && k + 1 < steps) set_history(row, slot_of(k), estimates[0]);
    table.rows.push_back(row);
  }
  return table;
}

}  // namespace ddpm
