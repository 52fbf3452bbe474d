// Group norm, forward and backward, against the reference in double on the same float inputs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/cpu/cpu.h"
#include "tests/kernels/cpu/float_test.h"
#include "tests/kernels/reference/group_norm_case.h"

namespace ddpm::cpu {
namespace {

using reference::group_norm_case;
using reference::GroupNormCase;
using reference::GroupNormGradients;
using reference::GroupNormInputs;
using reference::GroupNormOutputs;
using reference::largest;

// Every option, with channels that fill no vector register, one, and several with a remainder.
std::vector<GroupNormCase> cases() {
  std::vector<GroupNormCase> all;
  for (const int unit : {1, 3, 8})
    for (GroupNormCase test : reference::group_norm_option_cases(unit)) {
      test.name += "Times" + std::to_string(unit);
      all.push_back(test);
    }
  return all;
}

class GroupNorm : public ::testing::TestWithParam<GroupNormCase> {};
INSTANTIATE_TEST_SUITE_P(Options, GroupNorm, ::testing::ValuesIn(cases()),
                         [](const auto& i) { return i.param.name; });

void expect_forward_matches(const GroupNormCase& test, const GroupNormInputs<float>& in) {
  const auto actual =
      same_for_any_threads([&] { return reference::group_norm_forward<float>(test.params, in, group_norm); });
  const auto exact = to_double(in);
  const auto expected = reference::group_norm_forward(test.params, exact);
  constexpr double u = kSlack * kUnit;
  // The statistics are computed in double and rounded once. 1e-14: the rounding of the double sums.
  expect_within("mean", to_double(actual.mean), expected.mean,
                [&](size_t i) { return u * std::abs(expected.mean[i]) + 1e-14; });
  expect_within("rstd", to_double(actual.rstd), expected.rstd,
                [&](size_t i) { return u * expected.rstd[i]; });

  const double film = in.film.empty() ? 1 : 1 + largest(exact.film);
  const double centered = std::max(largest(exact.x), largest(exact.skip)) + largest(exact.shift) +
                          largest(exact.bias) + largest(expected.mean);
  const double scale = largest(expected.rstd) * largest(exact.gamma) * film;
  const double w = centered * scale + largest(exact.beta) * film + largest(exact.film);
  // w = (x + center) * scale + offset: the mean, the center and their sum with x are rounded, scale twice
  // (rstd and itself), then the product, and the sum with the rounded offset. SiLU's slope is below 1.1; the
  // dropout factor and its product add two.
  const double w_error = 8 * u * w;
  const double kept = 1 / (1 - test.params.dropout);
  expect_within("y", to_double(actual.y), expected.y, [&](size_t i) {
    return 1.1 * kept * w_error + (kSiluUnits + 2) * u * std::abs(expected.y[i]);
  });
}

TEST_P(GroupNorm, MatchesReference) {
  expect_forward_matches(GetParam(), reference::group_norm_inputs<float>(GetParam()));
}

// E[x^2] - E[x]^2 would lose all of the variance here (1e8 against 1/3, with 24 bits).
TEST(GroupNormNumerics, LargeOffsetDoesNotCancel) {
  const GroupNormCase test =
      group_norm_case("", {.n = 2, .pixels = 64, .x_channels = 4, .skip_channels = 4, .groups = 2});
  expect_forward_matches(test, reference::group_norm_inputs<float>(test, 1e4));
}

TEST_P(GroupNorm, GradientsMatchReference) {
  const GroupNormCase& test = GetParam();
  const auto in = reference::group_norm_inputs<float>(test);
  const auto exact = to_double(in);
  const auto kept = reference::group_norm_forward(test.params, exact);
  const std::vector<float> mean(kept.mean.begin(), kept.mean.end()), rstd(kept.rstd.begin(), kept.rstd.end());
  const auto beside = reference::random_surroundings<float>(test);
  const auto actual = same_for_any_threads([&] {
    return reference::group_norm_gradients<float>(test, in, mean, rstd, beside, group_norm_backward);
  });
  const auto expected = reference::group_norm_gradients<double>(
      test, exact, to_double(mean), to_double(rstd),
      {to_double(beside.x_first), to_double(beside.x_second), to_double(beside.skip_second),
       to_double(beside.shift), to_double(beside.film), to_double(beside.parameters)});
  // w as in the forward pass, without the mean's error; the derivative as in arithmetic_test, with two
  // roundings for dropout and one for the product.
  reference::expect_gradients_within_bounds(
      test, exact, to_double(mean), to_double(rstd), {.w = 7, .derivative = 15, .derivative_per_w = 7},
      {to_double(actual.x), to_double(actual.skip), to_double(actual.shift), to_double(actual.film),
       to_double(actual.bias), to_double(actual.gamma), to_double(actual.beta)},
      expected);
}

}  // namespace
}  // namespace ddpm::cpu
