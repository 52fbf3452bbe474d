// Classifier-free guidance against equation 6 of Ho & Salimans 2022.
#include "kernels/guidance.h"

#include <gtest/gtest.h>

#include <vector>

#include "kernels/reference/reference.h"
#include "tests/kernels/reference/tensors.h"

namespace ddpm::reference {
namespace {

std::vector<double> guide(const GuidanceParams& params, const std::vector<double>& outputs) {
  Output<double> y(params.elements());
  guidance<double>(params, {outputs.data(), y.data()});
  return y.values();
}

TEST(Guidance, MatchesPaperWithScaleOnePlusW) {
  const GuidanceParams params{.n = 2, .pixels = 5, .scale = 3.5};
  const std::vector<double> outputs = random_values(2 * params.elements(), 1), y = guide(params, outputs);
  const double w = 2.5;
  for (int64_t e = 0; e < params.elements(); ++e)
    EXPECT_NEAR(y[e], (1 + w) * outputs[e] - w * outputs[params.elements() + e], 1e-14)
        << "a few roundings of values below 7";
}

TEST(Guidance, ScaleOneIsConditionalAndZeroUnconditional) {
  GuidanceParams params{.n = 1, .pixels = 2, .scale = 1};
  const std::vector<double> outputs = {1, 2, 3, 4, 5, 6, 16, 32, 8, 2, 4, 1};
  EXPECT_EQ(guide(params, outputs), std::vector<double>(outputs.begin(), outputs.begin() + 6));
  params.scale = 0;
  EXPECT_EQ(guide(params, outputs), std::vector<double>(outputs.begin() + 6, outputs.end()));
}

TEST(Guidance, KeepsConditionalVariance) {
  const GuidanceParams params{.n = 1, .pixels = 2, .channels = 1, .output_channels = 2, .scale = 2};
  EXPECT_EQ(guide(params, {1, 10, 2, 20, 3, 30, 4, 40}), (std::vector<double>{-1, 10, 0, 20}));
}

// The three predictions are affine in each other, so guiding one guides all.
TEST(Guidance, CommutesWithChangeOfPrediction) {
  const GuidanceParams params{.n = 1, .pixels = 4, .scale = 4};
  const double signal = 0.6, noise = 0.8;
  const std::vector<double> x = random_values(params.elements(), 1);
  const std::vector<double> eps = random_values(2 * params.elements(), 2);
  std::vector<double> x0, v;
  for (size_t e = 0; e < eps.size(); ++e) {
    x0.push_back((x[e % x.size()] - noise * eps[e]) / signal);
    v.push_back(signal * eps[e] - noise * x0[e]);
  }
  const std::vector<double> guided_eps = guide(params, eps), guided_x0 = guide(params, x0),
                            guided_v = guide(params, v);
  for (size_t e = 0; e < x.size(); ++e) {
    // Ten roundings of values below 20.
    EXPECT_NEAR(guided_x0[e], (x[e] - noise * guided_eps[e]) / signal, 1e-13);
    EXPECT_NEAR(guided_v[e], signal * guided_eps[e] - noise * guided_x0[e], 1e-13);
  }
}

}  // namespace
}  // namespace ddpm::reference
