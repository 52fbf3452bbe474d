// The softmax and its backward pass against the reference in double.
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/cpu/cpu.h"
#include "kernels/reference/reference.h"
#include "tests/kernels/cpu/float_test.h"

namespace ddpm::cpu {
namespace {

const std::vector<SoftmaxParams> kShapes = {{7, 1, 1}, {5, 9, 0.7}, {3, 64, 0.125}, {4, 131, 2}};

std::vector<float> scaled_values(int64_t count, uint32_t seed, float factor) {
  auto values = random_values<float>(count, seed);
  for (float& value : values) value *= factor;
  return values;
}

std::vector<float> run(const SoftmaxParams& s, const std::vector<float>& x) {
  return same_for_any_threads([&] {
    Output<float> p(s.elements()), in_place(x);
    softmax(s, {x.data(), p.data()});
    softmax(s, {in_place.data(), in_place.data()});
    EXPECT_EQ(in_place.values(), p.values());
    return p.values();
  });
}

TEST(Softmax, MatchesReference) {
  for (const SoftmaxParams& s : kShapes) {
    const auto x = scaled_values(s.elements(), 1, 10);
    Output<double> expected(s.elements());
    reference::softmax<double>(s, {to_double(x).data(), expected.data()});
    // The exponent is a scaled difference of at most 20 with three roundings, its exponential is off by 2
    // units more; the sum of these has the same relative error; its reciprocal and the last product add two.
    const double exponential = 3 * 20 * s.scale + 2;
    const auto values = expected.values();
    expect_within("softmax", to_double(run(s, x)), values,
                  [&](size_t i) { return kSlack * (2 * exponential + 2) * kUnit * values[i] + 1e-37; });
  }
}

TEST(Softmax, DoesNotOverflow) {
  const auto p = run({1, 3, 1}, {1e30F, 1e30F, -1e30F});
  EXPECT_EQ(p[0], 0.5F);
  EXPECT_EQ(p[1], 0.5F);
  EXPECT_LT(p[2], 1e-37F);
}

TEST(SoftmaxBackward, MatchesReference) {
  for (const SoftmaxParams& s : kShapes) {
    const auto p = run(s, scaled_values(s.elements(), 2, 3));
    const auto dp = random_values<float>(s.elements(), 3);
    const auto dx = same_for_any_threads([&] {
      Output<float> out(s.elements()), in_place(dp);
      softmax_backward(s, {p.data(), dp.data(), out.data()});
      softmax_backward(s, {p.data(), in_place.data(), in_place.data()});
      EXPECT_EQ(in_place.values(), out.values());
      return out.values();
    });
    Output<double> expected(s.elements());
    reference::softmax_backward<double>(s, {to_double(p).data(), to_double(dp).data(), expected.data()});
    const auto values = expected.values();
    // The mean, below 1 + 1e-5 and summed in double, is rounded once; the difference once; scale and both
    // products once each.
    expect_within("softmax backward", to_double(dx), values, [&](size_t i) {
      return kSlack * kUnit * (s.scale * p[i] + 4 * std::abs(values[i])) + 1e-37;
    });
  }
}

}  // namespace
}  // namespace ddpm::cpu
