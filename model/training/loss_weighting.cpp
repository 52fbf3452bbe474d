#include "model/training/loss_weighting.h"

#include <algorithm>

namespace ddpm {
namespace {

double min_snr_weight(double snr, double gamma, Prediction prediction) {
  const double of_x0 = std::min(snr, gamma);
  switch (prediction) {
    case Prediction::kSample:
      return of_x0;
    case Prediction::kVelocity:
      return of_x0 / (snr + 1);
    case Prediction::kEpsilon:
      break;
  }
  return snr == 0 ? 1 : of_x0 / snr;
}

}  // namespace

std::vector<double> loss_weights(LossWeighting weighting, double gamma, const NoiseSchedule& schedule,
                                 Prediction prediction) {
  std::vector<double> weights;
  if (weighting == LossWeighting::kNone) return weights;
  for (const double alpha_bar : schedule.alpha_bar())
    weights.push_back(min_snr_weight(alpha_bar / (1 - alpha_bar), gamma, prediction));
  return weights;
}

}  // namespace ddpm
