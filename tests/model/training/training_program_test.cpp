// One training step: what it draws, that it learns, and that it is reproducible.
#include "model/training/training_program.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "kernels/permutation.h"
#include "model/training/trainer.h"
#include "tests/model/expect_input_error.h"
#include "tests/model/training/small_training.h"

namespace ddpm {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::vector<float> parameters(const Trainer& trainer) {
  std::vector<float> arena(size_t(trainer.executor().program().parameter_elements()));
  trainer.executor().read_parameters(arena);
  return arena;
}

// The step's timesteps.
std::vector<float> t_of(const Trainer& trainer) {
  return trainer.executor().read(trainer.executor().program().find("t"));
}

TEST(TrainingProgram, TwoTrainersMatchBitForBit) {
  const Dataset dataset = small_dataset();
  Trainer a(small_config(), dataset), b(small_config(), dataset);
  a.initialize();
  b.initialize();
  TrainingMetrics metrics_a, metrics_b;
  for (int i = 0; i < 4; ++i) {
    a.train_step(metrics_a);
    b.train_step(metrics_b);
  }
  EXPECT_EQ(parameters(a), parameters(b));
  EXPECT_EQ(metrics_a.loss.sum, metrics_b.loss.sum);
}

TEST(TrainingProgram, LossFalls) {
  const Dataset dataset = small_dataset();
  Trainer trainer(small_config(), dataset);
  trainer.initialize();
  TrainingMetrics first, last;
  for (int i = 0; i < 30; ++i) trainer.train_step(i < 10 ? first : last);
  // The network starts at 0, so the first loss is the mean square of the noise, 1 but for its spread; see the
  // next test.
  EXPECT_LT(last.loss.mean(), 0.8 * first.loss.mean());
}

TEST(TrainingProgram, UntrainedLossIsMeanSquareOfNoise) {
  const Dataset dataset = small_dataset();
  Trainer trainer(small_config(), dataset);
  trainer.initialize();
  TrainingMetrics metrics;
  trainer.train_step(metrics);
  // 768 squares of standard normals, each with variance 2: five standard deviations of their mean.
  EXPECT_NEAR(metrics.loss.mean(), 1, 5 * std::sqrt(2.0 / 768));
}

TEST(TrainingProgram, DrawsEveryTimestepOfTheSchedule) {
  const Dataset dataset = small_dataset();
  TrainConfig config = small_config();
  config.schedule.timesteps = 4;
  Trainer trainer(config, dataset);
  trainer.initialize();
  TrainingMetrics metrics;
  std::set<float> seen;
  for (int i = 0; i < 16; ++i) {
    trainer.train_step(metrics);
    for (const float t : t_of(trainer)) seen.insert(t);
  }
  // 64 draws miss one of four values with a probability below 4 * 0.75^64 = 4e-8.
  EXPECT_EQ(seen, (std::set<float>{0, 1, 2, 3}));
  for (const RunningMean& quarter : metrics.loss_by_quarter) EXPECT_GT(quarter.count, 0);
}

TEST(TrainingProgram, QuartersOfTimeSplitAllLosses) {
  const Dataset dataset = small_dataset();
  Trainer trainer(small_config(), dataset);
  trainer.initialize();
  for (int step = 0; step < 5; ++step) {
    TrainingMetrics metrics;
    trainer.train_step(metrics);
    double sum = 0;
    std::array<int64_t, 4> counts{};
    for (const float t : t_of(trainer)) ++counts[t < 12.5f ? 0 : t < 25 ? 1 : t < 37.5f ? 2 : 3];  // T = 50
    for (size_t i = 0; i < 4; ++i) {
      EXPECT_EQ(metrics.loss_by_quarter[i].count, counts[i]);
      sum += metrics.loss_by_quarter[i].sum;
    }
    EXPECT_NEAR(sum, metrics.loss.sum, 1e-12) << "sums of four doubles in two orders";
  }
}

TEST(TrainingProgram, AntitheticTimestepsComeInPairs) {
  const Dataset dataset = small_dataset();
  TrainConfig config = small_config();
  config.diffusion.draw = TimestepDraw::kAntithetic;
  Trainer trainer(config, dataset);
  trainer.initialize();
  TrainingMetrics metrics;
  trainer.train_step(metrics);
  const std::vector<float> t = t_of(trainer);
  ASSERT_EQ(t.size(), 4u);
  for (size_t i = 0; i < t.size(); i += 2) EXPECT_EQ(t[i] + t[i + 1], 49);
}

TEST(TrainingProgram, SumLossIsMeanLossTimesElements) {
  const Dataset dataset = small_dataset();
  TrainConfig config = small_config();
  Trainer mean(config, dataset);
  config.diffusion.reduction = LossReduction::kSum;
  Trainer sum(config, dataset);
  TrainingMetrics of_mean, of_sum;
  mean.initialize();
  sum.initialize();
  mean.train_step(of_mean);
  sum.train_step(of_sum);
  constexpr double kElements = kSmallImageSize * kSmallImageSize * 3;
  EXPECT_NEAR(of_sum.loss.mean() / of_mean.loss.mean(), kElements, kElements * 1e-6)
      << "two roundings to float";
}

// The gradient of a weighted loss is the weighted gradient, so both trainers' losses are the same errors.
TEST(TrainingProgram, MinSnrWeightsEachLossByItsTimestep) {
  const Dataset dataset = small_dataset();
  TrainConfig config = small_config();
  Trainer plain(config, dataset);
  config.loss_weighting = LossWeighting::kMinSnr;
  Trainer weighted(config, dataset);
  const auto losses_of_first_step = [](Trainer& trainer) {
    TrainingMetrics metrics;
    trainer.initialize();
    trainer.train_step(metrics);
    return trainer.executor().read(trainer.executor().program().find("image_loss"));
  };
  const std::vector<float> alike = losses_of_first_step(plain), by_time = losses_of_first_step(weighted);
  const auto weights = loss_weights(config.loss_weighting, config.min_snr_gamma,
                                    NoiseSchedule(config.schedule), config.diffusion.prediction);
  const std::vector<float> t = t_of(weighted);
  ASSERT_EQ(t.size(), 4u);
  EXPECT_EQ(t, t_of(plain));
  for (size_t i = 0; i < t.size(); ++i)
    EXPECT_NEAR(by_time[i] / alike[i], weights[static_cast<size_t>(t[i])], 1e-6)
        << "three roundings to float";
  EXPECT_NE(parameters(plain), parameters(weighted));
}

TEST(TrainingProgram, LearningRateWarmsUpAndStepsAreCounted) {
  const Dataset dataset = small_dataset();
  Trainer trainer(small_config(), dataset);
  trainer.initialize();
  for (int step = 0; step < 7; ++step) {
    EXPECT_EQ(trainer.step(), step);
    TrainingMetrics metrics;
    trainer.train_step(metrics);
    EXPECT_FLOAT_EQ(float(metrics.learning_rate), float(2e-3 * std::min(1.0, (step + 1) / 5.0)));
  }
}

TEST(TrainingProgram, MetricsOfConsecutiveStepsAdd) {
  TrainingMetrics a, b;
  a.loss.add(1);
  a.loss_by_quarter[2].add(4);
  a.learning_rate = 1;
  b.loss.add(2);
  b.loss.add(6);
  b.learning_rate = 2;
  a.join(b);
  EXPECT_EQ(a.loss.mean(), 3);
  EXPECT_EQ(a.loss_by_quarter[2].mean(), 4);
  EXPECT_EQ(a.learning_rate, 2);
  EXPECT_TRUE(a.finite());
  a.loss.add(NAN);
  EXPECT_FALSE(a.finite());
}

TEST(TrainingProgram, RefusesDataOfOtherSizes) {
  const Dataset three = small_dataset(3), twelve = small_dataset();
  expect_input_error([&] { Trainer(small_config(), three); },
                     AllOf(HasSubstr("3 images"), HasSubstr("batch of 4")));
  TrainConfig larger = small_config();
  larger.network.image_size = 16;
  expect_input_error([&] { Trainer(larger, twelve); }, AllOf(HasSubstr("8x8"), HasSubstr("16x16")));
}

TEST(TrainingProgram, SamplesFromAverageAndCanBeAborted) {
  const Dataset dataset = small_dataset();
  Trainer trainer(small_config(), dataset);
  trainer.initialize();
  const std::vector<Image> images = trainer.sample();
  ASSERT_EQ(images.size(), 5u);
  EXPECT_EQ(images[0].width, kSmallImageSize);
  EXPECT_EQ(trainer.sample()[4].pixels, images[4].pixels) << "the same weights give the same samples";
  EXPECT_TRUE(trainer.sample([] { return false; }).empty());
}

}  // namespace
}  // namespace ddpm
