// Dynamic thresholds against the reference, which sorts.
#include "kernels/cuda/kernels.h"
#include "kernels/reference/reference.h"
#include "tests/kernels/cuda/kernel_test.h"

namespace ddpm {
namespace {

using reference::random_values;

template <typename T>
class DynamicThreshold : public testing::Test {};
TYPED_TEST_SUITE(DynamicThreshold, StorageTypes);

// Uses the second of two rows; the first would give other numbers.
template <typename M>
std::vector<SamplerRow<M>> table(M x0_from_x, M x0_from_output) {
  SamplerRow<M> row{};
  std::vector<SamplerRow<M>> rows(2, row);
  rows[1].x0_from_x = x0_from_x;
  rows[1].x0_from_output = x0_from_output;
  return rows;
}

template <typename T>
std::vector<double> thresholds(const DynamicThresholdParams& s, const std::vector<float>& x,
                               const std::vector<T>& output, float x0_from_x, float x0_from_output) {
  return same_in_every_order([&](StreamView stream) {
    const Guarded<float> state(x, stream), threshold(s.step.n, stream);
    const Guarded<T> device_output(output, stream);
    const Guarded<SamplerRow<float>> rows(table(x0_from_x, x0_from_output), stream);
    const Guarded<int64_t> index(std::vector<int64_t>{1}, stream);
    cuda::dynamic_threshold<T>(
        s, {device_output.data(), rows.data(), index.data(), state.data(), threshold.data()}, stream);
    return widened(threshold.values(stream));
  });
}

TYPED_TEST(DynamicThreshold, SelectsOrderStatisticsExactly) {
  using T = TypeParam;
  // |x0| is 1 .. 101 in shuffled order (37 generates the residues), with alternating signs.
  DynamicThresholdParams s{.step = {.n = 1, .h = 101, .w = 1, .c = 1, .steps = 2}, .max_value = 1000};
  std::vector<double> values;
  for (int i = 0; i < 101; ++i) values.push_back((i * 37 % 101 + 1) * (i % 2 == 0 ? 1 : -1));
  const std::vector<float> zeros(101);
  for (const int percent : {0, 1, 50, 75, 99, 100}) {
    s.ratio = percent / 100.0;
    // 0.01 * 100 and the like may round below the integer; then almost all of the weight is on
    // the neighbor below.
    EXPECT_NEAR(thresholds<T>(s, zeros, rounded<T>(values), 0, 1)[0], percent + 1, 1e-5) << percent;
  }
  s.ratio = 0.5;
  EXPECT_EQ(thresholds<T>(s, zeros, rounded<T>(std::vector<double>(101, -3)), 0, 1)[0], 3) << "all are equal";
  s.max_value = 2;
  EXPECT_EQ(thresholds<T>(s, zeros, rounded<T>(values), 0, 1)[0], 2) << "not above the largest value";
  EXPECT_EQ(thresholds<T>(s, zeros, rounded<T>(std::vector<double>(101, 0.5)), 0, 1)[0], 1) << "not below 1";
}

TYPED_TEST(DynamicThreshold, MatchesReference) {
  using T = TypeParam;
  for (const SamplerOutput variant : {SamplerOutput::kMean, SamplerOutput::kMeanAndLogVariance}) {
    const DynamicThresholdParams s{.step = {.n = 3, .h = 20, .w = 9, .c = 3, .steps = 2, .output = variant},
                                   .ratio = 0.9,
                                   .max_value = 10};
    const auto x = rounded<float>(random_values(s.step.elements(), 1));
    const auto output =
        rounded<T>(random_values(s.step.n * s.step.h * s.step.w * s.step.output_channels(), 2));
    std::vector<double> expected(s.step.n);
    const int64_t index = 1;
    const auto rows = table<double>(2.5F, -1.75F);
    reference::dynamic_threshold<double>(
        s, {widened(output).data(), rows.data(), &index, widened(x).data(), expected.data()});
    for (const double value : expected) EXPECT_TRUE(value > 1 && value < 4.25) << "not a limit";
    // No order statistic moves by more than the largest error of an element, two roundings of values below
    // 4.25; then come the three of the interpolation.
    expect_within("dynamic_threshold", thresholds<T>(s, x, output, 2.5F, -1.75F), expected,
                  [](size_t) { return 5 * 4.25 * 0x1p-24; });
  }
}

}  // namespace
}  // namespace ddpm
