// Weights of the loss by timestep.
#include "model/training/loss_weighting.h"

#include <gtest/gtest.h>

#include <cmath>

namespace ddpm {
namespace {

constexpr double kGamma = 5;  // of the paper

TEST(LossWeighting, NoneHasNoWeights) {
  EXPECT_TRUE(loss_weights(LossWeighting::kNone, kGamma, NoiseSchedule({}), Prediction::kEpsilon).empty());
}

// The three predictions are three ways to say x0, so that for one error in x0 the three losses are the same:
// min(SNR, gamma) times its square.
TEST(LossWeighting, MinSnrWeightsX0TheSameForEveryPrediction) {
  const NoiseSchedule schedule({});
  const auto of_eps = loss_weights(LossWeighting::kMinSnr, kGamma, schedule, Prediction::kEpsilon);
  const auto of_x0 = loss_weights(LossWeighting::kMinSnr, kGamma, schedule, Prediction::kSample);
  const auto of_v = loss_weights(LossWeighting::kMinSnr, kGamma, schedule, Prediction::kVelocity);
  ASSERT_EQ(of_eps.size(), 1000u);
  const double x0_error = 0.1;
  for (size_t t = 0; t < 1000; ++t) {
    const double a = schedule.signal()[t], s = schedule.noise_level()[t];
    const double expected = std::min(a * a / (s * s), kGamma) * x0_error * x0_error;
    // x_t is given: an error in x0 is -a/s times as large in eps, and in v = (a x_t - x0) / s 1/s times.
    // Some ten roundings.
    EXPECT_NEAR(of_x0[t] * std::pow(x0_error, 2) / expected, 1, 1e-12);
    EXPECT_NEAR(of_eps[t] * std::pow(x0_error * a / s, 2) / expected, 1, 1e-12);
    EXPECT_NEAR(of_v[t] * std::pow(x0_error / s, 2) / expected, 1, 1e-12);
  }
}

TEST(LossWeighting, MinSnrOfEpsilonIsOneBelowGamma) {
  const auto weights = loss_weights(LossWeighting::kMinSnr, kGamma, NoiseSchedule({}), Prediction::kEpsilon);
  EXPECT_EQ(weights[999], 1);
  EXPECT_LT(weights[0], 1e-3);  // SNR is 1e4 there
}

TEST(LossWeighting, IsFiniteWithoutSignal) {
  NoiseScheduleOptions options;
  options.terminal_snr = TerminalSnr::kZero;
  const NoiseSchedule schedule(options);
  EXPECT_EQ(loss_weights(LossWeighting::kMinSnr, kGamma, schedule, Prediction::kEpsilon)[999], 1);
  EXPECT_EQ(loss_weights(LossWeighting::kMinSnr, kGamma, schedule, Prediction::kSample)[999], 0);
  EXPECT_EQ(loss_weights(LossWeighting::kMinSnr, kGamma, schedule, Prediction::kVelocity)[999], 0);
}

}  // namespace
}  // namespace ddpm
