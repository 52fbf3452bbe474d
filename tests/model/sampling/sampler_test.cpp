// Generation: images that do not depend on the batch, progress, and the way to 8 bits.
#include "model/sampling/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "model/weights/parameters.h"
#include "support/error_types.h"
#include "tests/model/training/small_training.h"

namespace ddpm {
namespace {

constexpr size_t kElements = kSmallImageSize * kSmallImageSize * 3;

GenerationOptions generation(SamplerMethod method, int batch) {
  const TrainConfig config = small_config();
  GenerationOptions options;
  options.network = config.network;
  options.network.initialization = Initialization::kPyTorch;  // an untrained network that does something
  options.schedule = config.schedule;
  options.sampler.method = method;
  options.sampler.steps = 5;
  options.batch = batch;
  options.seed = 21;
  return options;
}

std::vector<float> weights(const GenerationOptions& options, uint64_t seed = 1) {
  return initial_parameters(unet_program(options.network, 1), seed);
}

std::vector<float> generate(const GenerationOptions& options, int64_t first, int count) {
  return Sampler(options, weights(options)).generate(first, count);
}

class EachSampler : public ::testing::TestWithParam<SamplerMethod> {};
std::vector<SamplerMethod> every_method() {
  std::vector<SamplerMethod> methods;
  for (const SamplerTraits& traits : kSamplers) methods.push_back(traits.method);
  return methods;
}
INSTANTIATE_TEST_SUITE_P(Methods, EachSampler, ::testing::ValuesIn(every_method()), [](const auto& instance) {
  return std::string(sampler_method_name(instance.param));
});

TEST_P(EachSampler, ImageDoesNotDependOnTheBatch) {
  const std::vector<float> together = generate(generation(GetParam(), 5), 0, 5);
  Sampler single(generation(GetParam(), 1), weights(generation(GetParam(), 1)));
  Sampler pairs(generation(GetParam(), 2), weights(generation(GetParam(), 2)));
  const std::vector<float> pair = pairs.generate(2, 2);
  for (int64_t image = 0; image < 5; ++image) {
    const auto begin = together.begin() + image * int64_t(kElements);
    const std::vector<float> expected(begin, begin + int64_t(kElements));
    EXPECT_EQ(single.generate(image, 1), expected) << "image " << image;
    if (image == 2 || image == 3) {
      EXPECT_TRUE(
          std::equal(expected.begin(), expected.end(), pair.begin() + (image - 2) * int64_t(kElements)));
    }
  }
}

TEST_P(EachSampler, PartOfABatchIsItsStart) {
  const std::vector<float> all = generate(generation(GetParam(), 3), 7, 3),
                           two = generate(generation(GetParam(), 3), 7, 2);
  EXPECT_EQ(two, std::vector<float>(all.begin(), all.begin() + 2 * kElements));
}

TEST_P(EachSampler, CanBeUsedAgain) {
  Sampler sampler(generation(GetParam(), 2), weights(generation(GetParam(), 2)));
  const std::vector<float> first = sampler.generate(0, 2);
  EXPECT_NE(sampler.generate(2, 2), first);
  EXPECT_EQ(sampler.generate(0, 2), first);
}

// ---- guidance ----

// Of two classes and no condition.
GenerationOptions conditional_generation(SamplerMethod method, int batch, double scale) {
  GenerationOptions options = generation(method, batch);
  options.network.class_embedding = ClassEmbedding::kTable;
  options.network.num_class_embeds = 3;
  options.conditioning = {.rows = {{1, 0, 0}, {0, 1, 0}}, .guidance_scale = scale, .none = {0, 0, 1}};
  return options;
}

TEST_P(EachSampler, GuidedImageDoesNotDependOnTheBatch) {
  const auto guided = [](int batch) { return conditional_generation(GetParam(), batch, 3); };
  const std::vector<float> together = generate(guided(4), 0, 4);
  for (int64_t image = 0; image < 4; ++image) {
    const auto begin = together.begin() + image * int64_t(kElements);
    EXPECT_EQ(generate(guided(1), image, 1), std::vector<float>(begin, begin + int64_t(kElements)))
        << "image " << image;
  }
}

// u + 0 (c - u) is u to the last bit, so only the order of guidance's two outputs can tell them apart.
TEST_P(EachSampler, ScaleZeroIsSamplingWithoutTheCondition) {
  for (const Prediction prediction : {Prediction::kEpsilon, Prediction::kVelocity}) {
    GenerationOptions guided = conditional_generation(GetParam(), 2, 0);
    guided.sampler.prediction = prediction;
    GenerationOptions unconditional = conditional_generation(GetParam(), 2, 1);
    unconditional.sampler.prediction = prediction;
    const std::vector<float> told = generate(unconditional, 0, 2);
    unconditional.conditioning.rows = {unconditional.conditioning.none};
    const std::vector<float> untold = generate(unconditional, 0, 2);
    EXPECT_EQ(generate(guided, 0, 2), untold);
    EXPECT_NE(told, untold) << "the condition matters";
  }
}

TEST(Sampler, GuidanceWorksWithThresholdingAndGivenNoise) {
  GenerationOptions options = conditional_generation(SamplerMethod::kDdim, 2, 5);
  const std::vector<float> clipped = generate(options, 0, 2);
  options.sampler.thresholding = true;
  options.sampler.sample_max_value = 3;
  EXPECT_NE(generate(options, 0, 2), clipped);
  Sampler sampler(options, weights(options));
  std::vector<float> noise;
  const std::vector<float> drawn = sampler.generate(0, 2, [&](int step, const auto& read) {
    if (step == 0) noise = read();
    return true;
  });
  EXPECT_EQ(sampler.generate(0, 2, {}, noise), drawn)
      << "both copies of the batch begin with the given noise";
}

TEST(Sampler, ClippedSamplesLieInTheirRange) {
  for (const SamplerMethod method : {SamplerMethod::kDdpm, SamplerMethod::kDdim, SamplerMethod::kDpmpp}) {
    const std::vector<float> values = generate(generation(method, 2), 0, 2);
    ASSERT_FALSE(values.empty());
    for (const float value : values)
      ASSERT_LE(std::abs(value), 1.0f + 1e-5f)
          << "the last step lands on the clipped estimate but for rounding";
  }
}

TEST(Sampler, SeedImageAndWeightsAllMatter) {
  const GenerationOptions options = generation(SamplerMethod::kDdim, 1);
  GenerationOptions other_seed = options;
  other_seed.seed = 22;
  const std::vector<float> image = generate(options, 0, 1);
  EXPECT_NE(generate(other_seed, 0, 1), image);
  EXPECT_NE(generate(options, 1, 1), image);
  Sampler sampler(options, weights(options));
  sampler.set_parameters(weights(options, 2));
  EXPECT_NE(sampler.generate(0, 1), image);
}

TEST(Sampler, DdimIsDeterministicAndEtaAddsNoise) {
  GenerationOptions quiet = generation(SamplerMethod::kDdim, 1), noisy = quiet;
  noisy.sampler.eta = 1;
  const SamplerTable table = sampler_table(NoiseSchedule(quiet.schedule), quiet.sampler);
  ASSERT_FALSE(table.rows.empty());
  for (const SamplerRow<double>& row : table.rows) EXPECT_EQ(row.noise, 0);
  // Both begin alike, so that only the noise can part them.
  EXPECT_NE(generate(quiet, 0, 1), generate(noisy, 0, 1));
}

TEST(Sampler, ReportsTheStartAndEachStep) {
  Sampler sampler(generation(SamplerMethod::kDdim, 3), weights(generation(SamplerMethod::kDdim, 3)));
  std::vector<int> steps;
  std::vector<float> last;
  const std::vector<float> result = sampler.generate(0, 2, [&](int step, const auto& read) {
    steps.push_back(step);
    last = read();
    EXPECT_EQ(last.size(), 2 * kElements) << "the images asked for, not the batch";
    return true;
  });
  EXPECT_EQ(steps, (std::vector<int>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(sampler.steps(), 5);
  EXPECT_EQ(last, result);
}

TEST(Sampler, StartIsStandardNormal) {
  Sampler sampler(generation(SamplerMethod::kDdim, 8), weights(generation(SamplerMethod::kDdim, 8)));
  double sum = 0, squares = 0;
  sampler.generate(0, 8, [&](int, const auto& read) {
    for (const double value : read()) sum += value, squares += value * value;
    return false;
  });
  const double n = 8 * kElements;
  EXPECT_LT(std::abs(sum / n), 5 / std::sqrt(n));              // five standard deviations of the mean
  EXPECT_LT(std::abs(squares / n - 1), 5 * std::sqrt(2 / n));  // and of the mean square
}

TEST(Sampler, StopsWhenProgressReturnsFalse) {
  Sampler sampler(generation(SamplerMethod::kDdim, 1), weights(generation(SamplerMethod::kDdim, 1)));
  int calls = 0;
  EXPECT_TRUE(sampler.generate(0, 1, [&](int, const auto&) { return ++calls < 3; }).empty());
  EXPECT_EQ(calls, 3);
}

TEST(Sampler, TimestepsFall) {
  Sampler sampler(generation(SamplerMethod::kDdpm, 1), weights(generation(SamplerMethod::kDdpm, 1)));
  ASSERT_GT(sampler.steps(), 1);
  for (int step = 1; step < sampler.steps(); ++step)
    EXPECT_LT(sampler.timestep(step), sampler.timestep(step - 1));
}

TEST(Sampler, RefusesMoreImagesThanTheBatch) {
  Sampler sampler(generation(SamplerMethod::kDdim, 2), weights(generation(SamplerMethod::kDdim, 2)));
  EXPECT_THROW(sampler.generate(0, 3), LogicError);
}

// ---- the way to 8 bits ----

std::vector<uint8_t> bytes(const std::vector<float>& values, Rounding rounding) {
  return to_images(values, 1, int(values.size()), 1, rounding).at(0).pixels;
}

TEST(ToImages, EndsAndMiddle) {
  // -1, 0 and 1 are 0, 127.5 and 255.
  EXPECT_EQ(bytes({-1, 0, 1}, Rounding::kRound), (std::vector<uint8_t>{0, 128, 255}));
  EXPECT_EQ(bytes({-1, 0, 1}, Rounding::kTruncate), (std::vector<uint8_t>{0, 127, 255}));
}

TEST(ToImages, ValuesBeyondTheRangeAreClamped) {
  for (const Rounding rounding : {Rounding::kRound, Rounding::kTruncate})
    EXPECT_EQ(bytes({-7, 1.5f, INFINITY, -INFINITY}, rounding), (std::vector<uint8_t>{0, 255, 255, 0}));
}

TEST(ToImages, RoundsToNearestOrTruncates) {
  for (int level = 0; level < 255; ++level) {
    const float below = float((level + 0.4) / 127.5 - 1), above = float((level + 0.6) / 127.5 - 1);
    EXPECT_EQ(bytes({below, above}, Rounding::kRound),
              (std::vector<uint8_t>{uint8_t(level), uint8_t(level + 1)}));
    EXPECT_EQ(bytes({below, above}, Rounding::kTruncate),
              (std::vector<uint8_t>{uint8_t(level), uint8_t(level)}));
  }
}

// Every byte of the data set survives x = byte / 127.5 - 1 and back.
TEST(ToImages, EachLevelRoundTripsByRounding) {
  std::vector<float> values;
  std::vector<uint8_t> levels;
  for (int level = 0; level < 256; ++level) {
    levels.push_back(uint8_t(level));
    values.push_back(float(level) / 127.5f - 1);
  }
  EXPECT_EQ(bytes(values, Rounding::kRound), levels);
}

TEST(ToImages, SplitsImagesAndKeepsTheOrder) {
  std::vector<float> values(2 * 2 * 3 * 3, -1);
  values[2 * 3 * 3] = 1;  // the first value of the second image
  const std::vector<Image> images = to_images(values, 2, 3, 3);
  ASSERT_EQ(images.size(), 2u);
  EXPECT_EQ(images[1].height, 2);
  EXPECT_EQ(images[1].width, 3);
  EXPECT_EQ(images[0].pixels[0], 0);
  EXPECT_EQ(images[1].pixels[0], 255);
  EXPECT_THROW(to_images(std::vector<float>(10), 2, 3, 3), LogicError);
}

}  // namespace
}  // namespace ddpm
