// Noise schedules against their formulas in long double, published values, and diffusers' own numbers
// in double.
#include "model/sampling/noise_schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "model/weights/safetensors.h"
#include "support/error.h"

namespace ddpm {
namespace {

using ::testing::HasSubstr;

NoiseSchedule make_schedule(BetaSchedule beta_schedule,
                            TerminalSnr terminal_snr = TerminalSnr::kAsScheduled) {
  NoiseScheduleOptions options;
  options.beta_schedule = beta_schedule;
  options.terminal_snr = terminal_snr;
  return NoiseSchedule(options);
}

TEST(NoiseSchedule, LinearMatchesItsFormulaInLongDouble) {
  const NoiseSchedule schedule = make_schedule(BetaSchedule::kLinear);
  ASSERT_EQ(schedule.timesteps(), 1000);
  long double log_alpha_bar = 0;
  for (size_t t = 0; t < 1000; ++t) {
    const long double beta = (1e-4L * (999 - t) + 0.02L * t) / 999;
    log_alpha_bar += std::log1p(-beta);
    // A product of a thousand rounded factors: 1000 * 2^-53 = 1e-13, relative.
    EXPECT_NEAR(schedule.beta()[t], static_cast<double>(beta), 1e-17);
    EXPECT_NEAR(schedule.alpha_bar()[t] / static_cast<double>(std::exp(log_alpha_bar)), 1, 1e-12);
    EXPECT_NEAR(std::pow(schedule.signal()[t], 2) + std::pow(schedule.noise_level()[t], 2), 1, 1e-15);
  }
}

// Values that are quoted for Ho et al.'s schedule, to the digits in which they are quoted.
TEST(NoiseSchedule, LinearHasItsPublishedValues) {
  const NoiseSchedule schedule = make_schedule(BetaSchedule::kLinear);
  EXPECT_NEAR(schedule.alpha_bar()[999], 4.0e-5, 0.05e-5);
  EXPECT_NEAR(posterior_variance(schedule.alpha_bar()[487], schedule.alpha_bar()[486]), 0.00979, 1e-5);
  EXPECT_NEAR(posterior_variance(schedule.alpha_bar()[999], schedule.alpha_bar()[998]), 0.02, 1e-5);
  EXPECT_EQ(posterior_variance(schedule.alpha_bar()[0], schedule.alpha_bar_or_one(-1)), 0);
}

TEST(NoiseSchedule, ScaledLinearHasLinearRoots) {
  const NoiseSchedule schedule = make_schedule(BetaSchedule::kScaledLinear);
  for (size_t t = 1; t + 1 < 1000; ++t)
    EXPECT_NEAR(std::sqrt(schedule.beta()[t - 1]) + std::sqrt(schedule.beta()[t + 1]),
                2 * std::sqrt(schedule.beta()[t]), 1e-15);
  EXPECT_NEAR(schedule.beta()[0], 1e-4, 1e-18);
  EXPECT_NEAR(schedule.beta()[999], 0.02, 1e-16);
}

TEST(NoiseSchedule, SquaredCosineIsAlphaBar) {
  const NoiseSchedule schedule = make_schedule(BetaSchedule::kSquaredCosine);
  const auto f = [](double u) { return std::pow(std::cos((u + 0.008) / 1.008 * std::numbers::pi / 2), 2); };
  for (size_t t = 0; t < 999; ++t)
    EXPECT_NEAR(schedule.alpha_bar()[t], f((static_cast<double>(t) + 1) / 1000) / f(0), 1e-13);
  EXPECT_EQ(schedule.beta()[999], 0.999);  // the cap
}

TEST(NoiseSchedule, SigmoidIsSymmetricAboutItsMiddle) {
  const NoiseSchedule schedule = make_schedule(BetaSchedule::kSigmoid);
  for (size_t t = 0; t < 500; ++t)
    EXPECT_NEAR(schedule.beta()[t] + schedule.beta()[999 - t], 1e-4 + 0.02, 1e-16);
  EXPECT_NEAR(schedule.beta()[0], 1e-4 + 0.0199 / (1 + std::exp(6.0)), 1e-17);
}

TEST(NoiseSchedule, ZeroTerminalSnrKeepsTheFirstAndEmptiesTheLast) {
  const NoiseSchedule plain = make_schedule(BetaSchedule::kLinear);
  const NoiseSchedule rescaled = make_schedule(BetaSchedule::kLinear, TerminalSnr::kZero);
  EXPECT_NEAR(rescaled.alpha_bar().front(), plain.alpha_bar().front(), 1e-15);
  EXPECT_EQ(rescaled.alpha_bar().back(), 0);
  EXPECT_EQ(rescaled.beta().back(), 1);
  double product = 1;
  for (size_t t = 0; t < 999; ++t) {
    product *= 1 - rescaled.beta()[t];
    EXPECT_NEAR(rescaled.alpha_bar()[t] / product, 1,
                1e-11);  // a thousand factors, near the end next to 1 - 1
    // sqrt(alpha_bar) is an affine function of the original.
    const double slope =
        (rescaled.signal()[t] - rescaled.signal()[t + 1]) / (plain.signal()[t] - plain.signal()[t + 1]);
    EXPECT_NEAR(slope, rescaled.signal()[0] / (plain.signal()[0] - plain.signal()[999]), 1e-9);
  }
}

// tests/parity: diffusers' DDPMScheduler, run in double precision.
TEST(NoiseSchedule, AgreesWithDiffusers) {
  const SafetensorsFile expected(std::filesystem::path(DDPM_PARITY_FIXTURES) /
                                 "schedulers/forward_process.safetensors");
  const struct {
    const char* name;
    BetaSchedule schedule;
    TerminalSnr terminal_snr;
  } cases[] = {
      {"linear", BetaSchedule::kLinear, TerminalSnr::kAsScheduled},
      {"squaredcos_cap_v2", BetaSchedule::kSquaredCosine, TerminalSnr::kAsScheduled},
      {"sigmoid", BetaSchedule::kSigmoid, TerminalSnr::kAsScheduled},
      {"scaled_linear", BetaSchedule::kScaledLinear, TerminalSnr::kAsScheduled},
      {"linear_zero_snr", BetaSchedule::kLinear, TerminalSnr::kZero},
      {"squaredcos_cap_v2_zero_snr", BetaSchedule::kSquaredCosine, TerminalSnr::kZero},
  };
  const std::vector<int64_t> steps = expected.values<int64_t>("steps");
  ASSERT_FALSE(steps.empty());
  for (const auto& test : cases) {
    NoiseScheduleOptions options;
    options.beta_schedule = test.schedule;
    options.terminal_snr = test.terminal_snr;
    if (test.schedule == BetaSchedule::kScaledLinear) {
      options.beta_start = 0.00085;
      options.beta_end = 0.012;
    }
    const NoiseSchedule schedule(options);
    const std::vector<double> betas = expected.values<double>(std::string(test.name) + "/betas");
    const std::vector<double> alpha_bars =
        expected.values<double>(std::string(test.name) + "/alphas_cumprod");
    for (size_t i = 0; i < steps.size(); ++i) {
      const auto t = static_cast<size_t>(steps[i]);
      // Both are double; diffusers multiplies the rescaled schedule up again, a thousand roundings of 2^-53.
      EXPECT_NEAR(schedule.beta()[t], betas[i], 2e-13) << test.name << " " << t;
      EXPECT_NEAR(schedule.alpha_bar()[t], alpha_bars[i], 1e-12 * alpha_bars[i] + 1e-16)
          << test.name << " " << t;
    }
  }
}

TEST(NoiseSchedule, TakesTrainedBetas) {
  NoiseScheduleOptions options;
  options.timesteps = 3;
  options.trained_betas = {0.5, 0.2, 0.5};
  const NoiseSchedule schedule(options);
  EXPECT_NEAR(schedule.alpha_bar()[2], 0.2, 1e-16);
  options.trained_betas.pop_back();
  EXPECT_THROW(NoiseSchedule{options}, InputError);
}

TEST(NoiseSchedule, RefusesInvalidSchedules) {
  const auto refuses = [](auto change) {
    NoiseScheduleOptions options;
    change(options);
    EXPECT_THROW(NoiseSchedule{options}, InputError);
  };
  refuses([](auto& o) { o.timesteps = 0; });
  refuses([](auto& o) { o.timesteps = -5; });
  refuses([](auto& o) { o.beta_start = 0; });
  refuses([](auto& o) { o.beta_start = -1e-4; });
  refuses([](auto& o) { o.beta_end = 1; });
  refuses([](auto& o) { o.beta_end = NAN; });
  refuses([](auto& o) {
    o.timesteps = 1;
    o.terminal_snr = TerminalSnr::kZero;
  });
}

TEST(BetaScheduleName, RoundTripsAndRefusesOthers) {
  for (const BetaSchedule schedule : {BetaSchedule::kLinear, BetaSchedule::kScaledLinear,
                                      BetaSchedule::kSquaredCosine, BetaSchedule::kSigmoid})
    EXPECT_EQ(parse_beta_schedule(beta_schedule_name(schedule)), schedule);
  EXPECT_EQ(beta_schedule_name(BetaSchedule::kSquaredCosine), "squaredcos_cap_v2");
  try {
    parse_beta_schedule("cosine");
    FAIL() << "nothing was thrown";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("linear, scaled_linear, squaredcos_cap_v2, sigmoid"));
  }
}

}  // namespace
}  // namespace ddpm
