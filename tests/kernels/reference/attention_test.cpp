// Attention and its softmax.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/reference/reference.h"
#include "tests/finite_difference.h"
#include "tests/kernels/reference/tensors.h"

namespace ddpm::reference {
namespace {

template <typename T>
struct Outputs {
  std::vector<T> probabilities, y;
};

template <typename T>
Outputs<T> forward(const AttentionShape& s, const std::vector<T>& qkv) {
  Output<T> probabilities(s.score_elements()), y(s.y_elements());
  attention<T>(s, {qkv.data(), probabilities.data(), y.data()});
  return {probabilities.values(), y.values()};
}

std::vector<double> backward(const AttentionShape& s, const std::vector<double>& qkv,
                             const std::vector<double>& dy) {
  const auto probabilities = forward(s, qkv).probabilities;
  Output<double> dscores(s.score_elements()), dqkv(3 * s.y_elements());
  attention_backward<double>(s, {dy.data(), qkv.data(), probabilities.data(), dscores.data(), dqkv.data()});
  dscores.values();
  return dqkv.values();
}

// Index in qkv of q, k or v (`which` 0, 1, 2) of image n, position l, head j, element e.
size_t at(const AttentionShape& s, int which, int n, int l, int j, int e) {
  return ((size_t(n) * s.length + l) * 3 + which) * s.channels() + size_t(j) * s.head_dim + e;
}

// Equation 1 of the paper for one output value, without subtracting the maximum.
double definition(const AttentionShape& s, const std::vector<double>& qkv, int n, int l, int j, int e) {
  double numerator = 0, denominator = 0;
  for (int m = 0; m < s.length; ++m) {
    double score = 0;
    for (int i = 0; i < s.head_dim; ++i) score += qkv[at(s, 0, n, l, j, i)] * qkv[at(s, 1, n, m, j, i)];
    const double weight = std::exp(score / std::sqrt(double(s.head_dim)));
    numerator += weight * qkv[at(s, 2, n, m, j, e)];
    denominator += weight;
  }
  return numerator / denominator;
}

class Attention : public ::testing::TestWithParam<AttentionShape> {};
INSTANTIATE_TEST_SUITE_P(Shapes, Attention,
                         ::testing::Values(AttentionShape{.n = 2, .length = 5, .heads = 1, .head_dim = 4},
                                           AttentionShape{.n = 2, .length = 4, .heads = 3, .head_dim = 2},
                                           AttentionShape{.n = 1, .length = 1, .heads = 2, .head_dim = 3},
                                           AttentionShape{.n = 1, .length = 3, .heads = 1, .head_dim = 1},
                                           AttentionShape{.n = 1, .length = 2, .heads = 2, .head_dim = 19}));

TEST_P(Attention, MatchesDefinition) {
  const AttentionShape s = GetParam();
  const auto qkv = random_values(3 * s.y_elements(), 1);
  const auto y = forward(s, qkv).y;
  for (int n = 0; n < s.n; ++n)
    for (int l = 0; l < s.length; ++l)
      for (int j = 0; j < s.heads; ++j)
        for (int e = 0; e < s.head_dim; ++e)
          // Some tens of roundings of values of order one.
          EXPECT_NEAR(y[(size_t(n) * s.length + l) * s.channels() + size_t(j) * s.head_dim + e],
                      definition(s, qkv, n, l, j, e), 1e-14);
}

TEST_P(Attention, GradientMatchesFiniteDifferences) {
  const AttentionShape s = GetParam();
  auto qkv = random_values(3 * s.y_elements(), 1);
  const auto dy = random_values(s.y_elements(), 2);
  expect_gradient("qkv", qkv, backward(s, qkv, dy), [&] { return inner_product(forward(s, qkv).y, dy); });
}

TEST_P(Attention, RowsSumToOne) {
  const AttentionShape s = GetParam();
  const auto probabilities = forward(s, random_values<float>(3 * s.y_elements(), 1)).probabilities;
  for (size_t row = 0; row < probabilities.size(); row += s.length) {
    double sum = 0;
    for (int i = 0; i < s.length; ++i) sum += double(probabilities[row + i]);
    // Each probability has three roundings (apart from the exponential, which is in numerator and sum alike).
    EXPECT_NEAR(sum, 1, 3 * double(std::numeric_limits<float>::epsilon()));
  }
}

TEST_P(Attention, AddingAVectorToAllKeysChangesNothing) {
  // It adds q.vector to all scores of a row, which the softmax ignores.
  const AttentionShape s = GetParam();
  auto qkv = random_values(3 * s.y_elements(), 1);
  const auto before = forward(s, qkv).y;
  for (int n = 0; n < s.n; ++n)
    for (int l = 0; l < s.length; ++l)
      for (int c = 0; c < s.channels(); ++c) qkv[at(s, 1, n, l, 0, c)] += 10.0 * (c + 1);
  // Scores up to a few thousand, rounded to 2^-53 of that.
  expect_all_near(forward(s, qkv).y, before, 1e-11);
}

TEST(AttentionNumerics, HugeScoresDoNotOverflow) {
  const AttentionShape s{.n = 1, .length = 3, .heads = 1, .head_dim = 2};
  auto qkv = random_values<float>(3 * s.y_elements(), 1);
  for (float& value : qkv) value *= 1e4F;
  for (const float p : forward(s, qkv).probabilities) {
    EXPECT_GE(p, 0);
    EXPECT_LE(p, 1 + 1e-6F);
  }
}

TEST(Softmax, GradientMatchesFiniteDifferencesInPlaceToo) {
  const SoftmaxParams s{.rows = 3, .length = 5, .scale = 0.7};
  auto x = random_values(s.elements(), 1);
  const auto dp = random_values(s.elements(), 2);
  const auto probabilities = [&] {
    Output<double> p(s.elements());
    softmax<double>(s, {x.data(), p.data()});
    return p.values();
  };
  const auto p = probabilities();
  Output<double> dx(s.elements()), in_place(dp), p_in_place(x);
  softmax_backward<double>(s, {p.data(), dp.data(), dx.data()});
  softmax_backward<double>(s, {p.data(), in_place.data(), in_place.data()});
  softmax<double>(s, {p_in_place.data(), p_in_place.data()});
  EXPECT_EQ(in_place.values(), dx.values());
  EXPECT_EQ(p_in_place.values(), p);
  expect_gradient("x", x, dx.values(), [&] { return inner_product(probabilities(), dp); });
}

}  // namespace
}  // namespace ddpm::reference
