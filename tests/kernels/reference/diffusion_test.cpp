// Both ends of the training step: the draws of `diffuse`, and `loss` on the same draws.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "kernels/reference/reference.h"
#include "tests/finite_difference.h"
#include "tests/kernels/reference/tensors.h"

namespace ddpm::reference {
namespace {

// A data set whose bytes all differ within an image's neighborhood, and a cosine-like schedule.
struct Fixture {
  explicit Fixture(const DiffusionParams& s) : params(s) {
    for (int64_t e = 0; e < s.dataset_count * s.image_elements(); ++e)
      dataset.push_back(uint8_t((e * 37 + 11) % 256));
    for (int t = 0; t < s.timesteps; ++t) {
      const double angle = 1.5 * (t + 1) / s.timesteps;
      signal.push_back(std::cos(angle));
      noise.push_back(std::sin(angle));
    }
  }
  DiffusionParams params;
  std::vector<uint8_t> dataset;
  std::vector<double> signal, noise;
};

struct Batch {
  std::vector<double> x, t;
  std::vector<int64_t> index;
};

Batch diffuse_step(const Fixture& f, int64_t step) {
  Output<double> x(f.params.elements()), t(f.params.n);
  std::vector<int64_t> index(f.params.n, -1);
  diffuse<double>(f.params, {.dataset = f.dataset.data(),
                             .signal = f.signal.data(),
                             .noise = f.noise.data(),
                             .step = &step,
                             .x_t = x.data(),
                             .t = t.data(),
                             .index = index.data()});
  return {x.values(), t.values(), index};
}

struct LossOutputs {
  std::vector<double> gradient, image_loss;
  double mean() const {
    double sum = 0;
    for (const double value : image_loss) sum += value;
    return sum / double(image_loss.size());
  }
};

LossOutputs run_loss(const Fixture& f, int64_t step, const std::vector<double>& t,
                     const std::vector<double>& prediction, const std::vector<double>& weight = {}) {
  Output<double> gradient(f.params.elements()), image_loss(f.params.n);
  loss<double>(f.params, {.prediction = prediction.data(),
                          .dataset = f.dataset.data(),
                          .signal = f.signal.data(),
                          .noise = f.noise.data(),
                          .weight = data_or_null(weight),
                          .t = t.data(),
                          .step = &step,
                          .dprediction = gradient.data(),
                          .image_loss = image_loss.data()});
  return {gradient.values(), image_loss.values()};
}

// x0 of image j of a batch without flips, from the data set.
std::vector<double> clean_image(const Fixture& f, int64_t index) {
  std::vector<double> x0;
  const int64_t elements = f.params.image_elements();
  for (int64_t e = 0; e < elements; ++e) x0.push_back(f.dataset[index * elements + e] / 127.5 - 1);
  return x0;
}

// The target of the prediction type, recomputed from x_t, t and the data set alone.
std::vector<double> target(const Fixture& f, const Batch& batch) {
  std::vector<double> result;
  const int64_t elements = f.params.image_elements();
  for (int j = 0; j < f.params.n; ++j) {
    const auto x0 = clean_image(f, batch.index[j]);
    const double a = f.signal[size_t(batch.t[j])], s = f.noise[size_t(batch.t[j])];
    for (int64_t e = 0; e < elements; ++e) {
      const double eps = (batch.x[j * elements + e] - a * x0[e]) / s;
      const double velocity = a * eps - s * x0[e];
      result.push_back(f.params.prediction == Prediction::kEpsilon  ? eps
                       : f.params.prediction == Prediction::kSample ? x0[e]
                                                                    : velocity);
    }
  }
  return result;
}

class Loss : public ::testing::TestWithParam<Prediction> {};
INSTANTIATE_TEST_SUITE_P(Predictions, Loss,
                         ::testing::Values(Prediction::kEpsilon, Prediction::kSample, Prediction::kVelocity));

TEST_P(Loss, IsZeroAtTheTargetOfDiffuse) {
  const Fixture f(
      {.n = 3, .h = 4, .w = 3, .c = 3, .dataset_count = 5, .timesteps = 20, .prediction = GetParam()});
  const Batch batch = diffuse_step(f, 7);
  const LossOutputs at_truth = run_loss(f, 7, batch.t, target(f, batch));
  // The noise is recovered by a division by s >= 0.07, so to about 1e-15 / 0.07; its square is below 1e-26.
  for (const double value : at_truth.image_loss) EXPECT_LT(value, 1e-26);
  // Another step has different noise (which matters only if it is part of the target).
  const double elsewhere = run_loss(f, 8, batch.t, target(f, batch)).mean();
  EXPECT_TRUE(GetParam() == Prediction::kSample || elsewhere > 0.1) << elsewhere;
}

TEST_P(Loss, GradientMatchesFiniteDifferences) {
  for (const LossReduction reduction : {LossReduction::kMean, LossReduction::kSum}) {
    Fixture f({.n = 2,
               .h = 2,
               .w = 3,
               .c = 3,
               .dataset_count = 5,
               .timesteps = 20,
               .prediction = GetParam(),
               .reduction = reduction,
               .horizontal_flip = true,
               .seed = 4});
    const Batch batch = diffuse_step(f, 1);
    const auto weight = random_values(f.params.timesteps, 1, 2);
    auto prediction = random_values(f.params.elements(), 2);
    expect_gradient("prediction", prediction, run_loss(f, 1, batch.t, prediction, weight).gradient,
                    [&] { return run_loss(f, 1, batch.t, prediction, weight).mean(); });
  }
}

TEST_P(Loss, AppliesReductionAndWeights) {
  Fixture f({.n = 2, .h = 2, .w = 2, .c = 3, .dataset_count = 5, .timesteps = 20, .prediction = GetParam()});
  const Batch batch = diffuse_step(f, 0);
  auto prediction = target(f, batch);
  for (double& value : prediction) value += 0.5;
  // The squared error is 1/4 everywhere; the bounds are roundings of values of order ten.
  for (const double value : run_loss(f, 0, batch.t, prediction).image_loss) EXPECT_NEAR(value, 0.25, 1e-13);
  f.params.reduction = LossReduction::kSum;
  const auto weight = random_values(f.params.timesteps, 1, 2);
  const auto weighted = run_loss(f, 0, batch.t, prediction, weight).image_loss;
  for (int j = 0; j < 2; ++j) EXPECT_NEAR(weighted[j], weight[size_t(batch.t[j])] * 0.25 * 12, 1e-12);
}

TEST(Diffuse, NoiseIsStandardNormal) {
  const Fixture f({.n = 8, .h = 32, .w = 32, .c = 3, .dataset_count = 3, .timesteps = 20});
  const auto eps = target(f, diffuse_step(f, 0));
  double sum = 0, squares = 0;
  for (const double z : eps) {
    sum += z;
    squares += z * z;
  }
  const double count = double(eps.size());
  // Five standard deviations of the mean and of the mean square.
  EXPECT_NEAR(sum / count, 0, 5 / std::sqrt(count));
  EXPECT_NEAR(squares / count, 1, 5 * std::sqrt(2 / count));
}

TEST(Diffuse, VisitsEachImageOncePerEpochInNewOrder) {
  // 7 images in batches of 3: epochs do not end where batches do.
  const Fixture f({.n = 3, .h = 1, .w = 1, .c = 3, .dataset_count = 7, .timesteps = 5, .seed = 2});
  std::vector<int64_t> stream;
  for (int64_t step = 0; step < 7; ++step)
    for (const int64_t index : diffuse_step(f, step).index) stream.push_back(index);
  std::set<std::vector<int64_t>> orders;
  for (int epoch = 0; epoch < 3; ++epoch) {
    std::vector<int64_t> order(stream.begin() + epoch * 7, stream.begin() + (epoch + 1) * 7);
    orders.insert(order);
    std::sort(order.begin(), order.end());
    EXPECT_EQ(order, (std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6})) << epoch;
  }
  EXPECT_EQ(orders.size(), 3U);
}

TEST(Diffuse, TimestepsCoverTheRangeEvenly) {
  const Fixture f({.n = 1000, .h = 1, .w = 1, .c = 1, .dataset_count = 1, .timesteps = 10});
  std::vector<int> count(10);
  for (const double t : diffuse_step(f, 0).t) ++count.at(size_t(t));
  for (const int c : count) EXPECT_NEAR(c, 100, 5 * std::sqrt(90.0));  // binomial; five standard deviations
}

TEST(Diffuse, AntitheticPairsSumToLastTimestepAcrossBatches) {
  const Fixture f({.n = 3,
                   .h = 1,
                   .w = 1,
                   .c = 1,
                   .dataset_count = 4,
                   .timesteps = 50,
                   .draw = TimestepDraw::kAntithetic});
  std::vector<double> t;
  for (int64_t step = 0; step < 4; ++step)
    for (const double value : diffuse_step(f, step).t) t.push_back(value);
  for (size_t pair = 0; pair < t.size(); pair += 2) EXPECT_EQ(t[pair] + t[pair + 1], 49) << pair;
  EXPECT_GT(std::set<double>(t.begin(), t.end()).size(), 4U);
}

TEST(Diffuse, FlipsHalfOfTheImages) {
  // Noise-free schedule: x_t is the image itself.
  Fixture f({.n = 400, .h = 2, .w = 3, .c = 2, .dataset_count = 5, .timesteps = 1, .horizontal_flip = true});
  f.signal = {1};
  f.noise = {0};
  const Batch batch = diffuse_step(f, 0);
  int mirrored = 0;
  for (int j = 0; j < f.params.n; ++j) {
    const auto image = clean_image(f, batch.index[j]);
    std::vector<double> mirror;
    for (int i = 0; i < 2; ++i)
      for (int column = 2; column >= 0; --column)
        for (int c = 0; c < 2; ++c) mirror.push_back(image[(i * 3 + column) * 2 + c]);
    const std::vector<double> x(batch.x.begin() + j * 12, batch.x.begin() + (j + 1) * 12);
    ASSERT_TRUE(x == image || x == mirror) << j;
    mirrored += x == mirror ? 1 : 0;
  }
  EXPECT_NEAR(mirrored, 200, 50);  // binomial, five standard deviations of 10
}

TEST(Diffuse, LossFlipsLikeDiffuse) {
  Fixture f({.n = 16,
             .h = 2,
             .w = 3,
             .c = 1,
             .dataset_count = 5,
             .timesteps = 1,
             .prediction = Prediction::kSample,
             .horizontal_flip = true});
  f.signal = {1};
  f.noise = {0};
  const Batch batch = diffuse_step(f, 0);
  for (const double value : run_loss(f, 0, batch.t, batch.x).image_loss) EXPECT_EQ(value, 0);
}

TEST(Diffuse, IsIndependentOfBatchSize) {
  DiffusionParams params{.n = 4,
                         .h = 3,
                         .w = 3,
                         .c = 3,
                         .dataset_count = 5,
                         .timesteps = 30,
                         .prediction = Prediction::kVelocity,
                         .draw = TimestepDraw::kAntithetic,
                         .horizontal_flip = true,
                         .seed = 8};
  const Fixture whole(params);
  params.n = 2;
  const Fixture half(params);
  const int64_t step = 3;
  const Batch all = diffuse_step(whole, step);
  const auto prediction = random_values(whole.params.elements(), 1);
  const auto all_losses = run_loss(whole, step, all.t, prediction).image_loss;
  const int64_t cut = half.params.elements();
  for (int part = 0; part < 2; ++part) {
    const Batch batch = diffuse_step(half, 2 * step + part);
    EXPECT_EQ(batch.x, std::vector<double>(all.x.begin() + part * cut, all.x.begin() + (part + 1) * cut));
    EXPECT_EQ(batch.t, std::vector<double>(all.t.begin() + part * 2, all.t.begin() + (part + 1) * 2));
    EXPECT_EQ(batch.index,
              std::vector<int64_t>(all.index.begin() + part * 2, all.index.begin() + (part + 1) * 2));
    const std::vector<double> part_prediction(prediction.begin() + part * cut,
                                              prediction.begin() + (part + 1) * cut);
    EXPECT_EQ(run_loss(half, 2 * step + part, batch.t, part_prediction).image_loss,
              std::vector<double>(all_losses.begin() + part * 2, all_losses.begin() + (part + 1) * 2));
  }
}

// A streamed data set has only the images of the step, in batch order.
TEST(Diffuse, StreamedRowsGiveTheSameNumbers) {
  const Fixture whole({.n = 4,
                       .h = 3,
                       .w = 2,
                       .c = 3,
                       .dataset_count = 7,
                       .timesteps = 20,
                       .prediction = Prediction::kVelocity,
                       .horizontal_flip = true});
  constexpr int64_t kStep = 5;
  const Batch expected = diffuse_step(whole, kStep);
  Fixture streamed = whole;
  streamed.params.rows = DatasetRows::kBatchImages;
  streamed.dataset.clear();
  const int64_t elements = whole.params.image_elements();
  for (int j = 0; j < whole.params.n; ++j) {
    const int64_t image = image_of_batch(whole.params.seed, whole.params.n, 7, kStep, j);
    EXPECT_EQ(image, expected.index[size_t(j)]);
    const auto begin = whole.dataset.begin() + image * elements;
    streamed.dataset.insert(streamed.dataset.end(), begin, begin + elements);
  }
  EXPECT_EQ(diffuse_step(streamed, kStep).x, expected.x);
  const std::vector<double> prediction(expected.x.size(), 0.5);
  EXPECT_EQ(run_loss(streamed, kStep, expected.t, prediction).image_loss,
            run_loss(whole, kStep, expected.t, prediction).image_loss);
}

TEST(Diffuse, SeedChangesEverything) {
  DiffusionParams params{.n = 8, .h = 2, .w = 2, .c = 1, .dataset_count = 100, .timesteps = 1000};
  const Batch one = diffuse_step(Fixture(params), 0);
  params.seed = 1;
  const Batch other = diffuse_step(Fixture(params), 0);
  EXPECT_NE(one.x, other.x);
  EXPECT_NE(one.t, other.t);
  EXPECT_NE(one.index, other.index);
}

}  // namespace
}  // namespace ddpm::reference
