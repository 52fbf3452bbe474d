// Rows of labels: whose labels they are, and what is hidden how often.
#include "kernels/labels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/reference/reference.h"
#include "tests/kernels/reference/tensors.h"

namespace ddpm::reference {
namespace {

std::vector<double> gather(const LabelParams& params, const std::vector<double>& labels, int64_t step = 0) {
  Output<double> y(int64_t{params.n} * params.columns());
  gather_labels<double>(params, {labels.data(), &step, y.data()});
  return y.values();
}

std::vector<double> rising(int64_t count) {
  std::vector<double> values(count);
  for (int64_t i = 0; i < count; ++i) values[i] = double(i);
  return values;
}

// Each image is a class of its own, so that the row identifies the image.
TEST(GatherLabels, SelectsTheImagesOfDiffuse) {
  constexpr int kImages = 7;
  const LabelParams params{.n = 5, .dataset_count = kImages, .values = kImages, .seed = 4};
  const DiffusionParams diffusion{
      .n = 5, .h = 1, .w = 1, .c = 1, .dataset_count = kImages, .timesteps = 1, .seed = 4};
  const std::vector<uint8_t> pixels(kImages);
  const double table = 1;
  for (const int64_t step : {int64_t{0}, int64_t{1}, int64_t{12}}) {
    const std::vector<double> y = gather(params, rising(kImages), step);
    Output<double> x_t(5), t(5);
    std::vector<int64_t> index(5);
    diffuse<double>(diffusion, {pixels.data(), &table, &table, &step, x_t.data(), t.data(), index.data()});
    for (int n = 0; n < 5; ++n)
      for (int k = 0; k < kImages; ++k) EXPECT_EQ(y[n * kImages + k], index[n] == k ? 1 : 0);
  }
}

TEST(GatherLabels, AttributeHasOneColumnPerValue) {
  const LabelParams params{.n = 1, .dataset_count = 1, .fields = 4, .values = 2};
  EXPECT_EQ(gather(params, {1, 0, -1, 1}), (std::vector<double>{0, 1, 1, 0, 0, 0, 0, 1}))
      << "a label that is not a value is unknown";
}

TEST(GatherLabels, HiddenLabelsAreZeroOrLastColumn) {
  LabelParams params{.n = 2, .dataset_count = 3, .fields = 1, .values = 3, .dropout = 1};
  EXPECT_EQ(gather(params, rising(3)), std::vector<double>(6));
  params.null = NullCondition::kLastColumn;
  EXPECT_EQ(gather(params, rising(3)), (std::vector<double>{0, 0, 0, 1, 0, 0, 0, 1}));
}

// Batching changes nothing: the 12 images of one step are those of three steps of four.
TEST(GatherLabels, DependsOnlyOnPosition) {
  LabelParams params{
      .n = 12, .dataset_count = 5, .fields = 3, .values = 2, .dropout = 0.3, .field_dropout = 1, .seed = 2};
  const std::vector<double> labels = {0, 1, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 1, 1, 1};
  const std::vector<double> whole = gather(params, labels, 1);
  params.n = 4;
  std::vector<double> parts;
  for (const int64_t step : {3, 4, 5})
    for (const double value : gather(params, labels, step)) parts.push_back(value);
  EXPECT_EQ(parts, whole);
}

TEST(GatherLabels, HidesAtTheGivenRates) {
  constexpr int kRows = 20000, kFields = 10;
  LabelParams params{
      .n = kRows, .dataset_count = 1, .fields = kFields, .values = 1, .dropout = 0.2, .seed = 6};
  const auto counts = [&] {  // rows by number of visible labels
    std::vector<double> result(kFields + 1);
    const std::vector<double> y = gather(params, std::vector<double>(kFields));
    for (int n = 0; n < kRows; ++n) {
      double sum = 0;
      for (int f = 0; f < kFields; ++f) sum += y[n * kFields + f];
      result[size_t(sum)] += 1;
    }
    return result;
  };
  // Five standard deviations of a count.
  const auto near = [](double count, double p) {
    EXPECT_NEAR(count, p * kRows, 5 * std::sqrt(kRows * p * (1 - p)));
  };
  std::vector<double> all_or_none = counts();
  near(all_or_none[0], 0.2);
  EXPECT_EQ(all_or_none[0] + all_or_none[kFields], kRows);
  // A binomial count with a uniform probability is itself uniform: each of the 11 counts is equally frequent.
  params.field_dropout = 1;
  const std::vector<double> any = counts();
  near(any[0], 0.2 + 0.8 / 11);
  for (int shown = 1; shown <= kFields; ++shown) near(any[shown], 0.8 / 11);
}

}  // namespace
}  // namespace ddpm::reference
