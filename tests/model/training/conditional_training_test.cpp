// A conditional network learns its condition, and its samples follow it.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <numeric>
#include <ostream>
#include <vector>

#include "model/sampling/sampler.h"
#include "model/training/checkpoint.h"
#include "model/training/trainer.h"
#include "support/atomic_file.h"
#include "tests/model/expect_input_error.h"
#include "tests/model/training/small_training.h"
#include "tests/temporary_folder.h"

namespace ddpm {
namespace {

constexpr int64_t kImages = 16;
constexpr size_t kElements = kSmallImageSize * kSmallImageSize * 3;

// Even images are dark and of class 0, odd ones are bright and of class 1; the attributes say the same in
// other words, and a second one that says nothing.
Dataset two_kinds(LabelKind kind) {
  std::vector<uint8_t> pixels;
  Labels labels{kind, {"dark", "bright"}, {}, {}};
  if (kind == LabelKind::kAttributes) labels.names = {"Bright", "Odd_Pair"};
  for (int64_t i = 0; i < kImages; ++i) {
    const auto is_bright = static_cast<uint8_t>(i % 2), is_odd_pair = static_cast<uint8_t>(i / 2 % 2);
    for (size_t e = 0; e < kElements; ++e)
      pixels.push_back(
          static_cast<uint8_t>((is_bright != 0 ? 190 : 40) + random_bits({5, 0}, uint64_t(i), e) % 20));
    if (kind == LabelKind::kClasses) labels.classes.push_back(is_bright);
    if (kind == LabelKind::kAttributes)
      labels.attributes.insert(labels.attributes.end(), {is_bright, is_odd_pair});
  }
  DatasetCard card;
  card.source = "test";
  card.count = kImages;
  card.height = card.width = kSmallImageSize;
  card.channels = 3;
  return Dataset::from_pixels(std::move(pixels), std::move(card), std::move(labels));
}

TrainConfig conditional_config(const char* condition) {
  std::vector<Setting> settings = to_settings(small_config());
  settings.insert(settings.end(), {{"condition", condition},
                                   {"condition_dropout", "0.2"},
                                   {"attribute_dropout", "0.5"},
                                   {"prediction", "sample"},
                                   {"initialisation", "pytorch"},
                                   {"timestep_spacing", "trailing"},
                                   {"dropout", "0"},
                                   {"ema_decay", "0.9"},
                                   {"ema_ramp", "true"}});
  return make_train_config(settings);
}

std::vector<float> averaged_weights(const Trainer& trainer) {
  return trainer.executor().read(trainer.executor().program().find("ema"));
}

// Mean value of each sample.
std::vector<double> brightness(const Trainer& trainer, const Conditioning& conditioning, int count) {
  const TrainConfig& config = trainer.config();
  Sampler sampler({.network = config.network,
                   .schedule = config.schedule,
                   .sampler = config.sampler,
                   .conditioning = conditioning,
                   .batch = count,
                   .seed = 4},
                  averaged_weights(trainer));
  const std::vector<float> x = sampler.generate(0, count);
  std::vector<double> means;
  for (int i = 0; i < count; ++i)
    means.push_back(
        std::accumulate(x.begin() + i * int64_t(kElements), x.begin() + (i + 1) * int64_t(kElements), 0.0) /
        double(kElements));
  return means;
}

struct Kind {
  LabelKind labels;
  const char* condition;
  const char* dark;
  const char* bright;
};

void PrintTo(const Kind& kind, std::ostream* stream) { *stream << kind.condition; }

class ConditionalTraining : public ::testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Kinds, ConditionalTraining,
                         ::testing::Values(Kind{LabelKind::kClasses, "classes", "dark", "bright"},
                                           Kind{LabelKind::kAttributes, "attributes", "Bright=0",
                                                "Bright=1"}),
                         [](const auto& instance) { return std::string(instance.param.condition); });

TEST_P(ConditionalTraining, SamplesFollowTheirCondition) {
  const Dataset dataset = two_kinds(GetParam().labels);
  Trainer trainer(conditional_config(GetParam().condition), dataset);
  trainer.initialize();
  TrainingMetrics metrics;
  for (int i = 0; i < 400; ++i) trainer.train_step(metrics);
  const ConditionOptions& options = trainer.config().condition;
  Conditioning told{
      .rows = {parse_condition(options, GetParam().dark), parse_condition(options, GetParam().bright)},
      .none = no_condition(options)};
  // The data's means are -0.61 and 0.56. Without a condition an image could be either.
  for (const double scale : {1.0, 1.5}) {
    told.guidance_scale = scale;
    const std::vector<double> means = brightness(trainer, told, 6);
    for (size_t i = 0; i < means.size(); ++i)
      EXPECT_EQ(means[i] > 0, i % 2 == 1)
          << "image " << i << " has the mean " << means[i] << " at scale " << scale;
  }
}

TEST_P(ConditionalTraining, TrainsEachRowOfTheTable) {
  const Dataset dataset = two_kinds(GetParam().labels);
  Trainer trainer(conditional_config(GetParam().condition), dataset);
  trainer.initialize();
  const Program& program = trainer.executor().program();
  const Buffer& table = program.buffer(program.find("class_embedding.weight"));
  const auto values = [&] {
    std::vector<float> arena(size_t(program.parameter_elements()));
    trainer.executor().read_parameters(arena);
    return std::vector<float>(arena.begin() + table.arena_offset,
                              arena.begin() + table.arena_offset + element_count(table.shape));
  };
  const std::vector<float> before = values();
  TrainingMetrics metrics;
  for (int i = 0; i < 12; ++i)
    trainer.train_step(metrics);  // 48 images: the last row is missed with 0.8^48 = 2e-5
  const std::vector<float> after = values();
  const auto rows = size_t(table.shape.at(1));  // (columns of the embedding, rows of the table)
  EXPECT_EQ(rows, GetParam().labels == LabelKind::kClasses ? 3u : 4u);
  for (size_t row = 0; row < rows; ++row) EXPECT_NE(after[row], before[row]) << "row " << row;
}

TEST_P(ConditionalTraining, GridsTakeTheConditionsInTurn) {
  const Dataset dataset = two_kinds(GetParam().labels);
  TrainConfig config = conditional_config(GetParam().condition);
  config.sample_count = 4;
  config.sample_guidance = 2;
  const auto grid = [&](const std::string& conditions) {
    config.sample_condition = conditions;
    Trainer trainer(config, dataset);
    trainer.initialize();
    return trainer.sample();
  };
  const std::string dark = GetParam().dark, bright = GetParam().bright;
  const std::vector<Image> all_dark = grid(dark), all_bright = grid(bright), both = grid(dark + ";" + bright);
  EXPECT_EQ(both[0].pixels, all_dark[0].pixels);
  EXPECT_EQ(both[1].pixels, all_bright[1].pixels);
  EXPECT_EQ(both[2].pixels, all_dark[2].pixels);
  EXPECT_NE(both[1].pixels, all_dark[1].pixels);
  if (GetParam().labels == LabelKind::kClasses) {
    EXPECT_EQ(grid("")[3].pixels, both[3].pixels) << "every class in turn";
  }
  expect_input_error([&] { grid("Nonsense=1"); }, ::testing::HasSubstr("Nonsense"));
}

// The same images, the first of which is said to be the other way.
Dataset with_another_label(const Dataset& dataset) {
  Labels labels = dataset.labels();
  if (labels.kind == LabelKind::kClasses) labels.classes[0] = 1 - labels.classes[0];
  if (labels.kind == LabelKind::kAttributes) labels.attributes[0] = 1 - labels.attributes[0];
  const uint8_t* pixels = dataset.pixels();
  return Dataset::from_pixels({pixels, pixels + static_cast<size_t>(dataset.count()) * dataset.image_bytes()},
                              dataset.card(), std::move(labels));
}

TEST_P(ConditionalTraining, ResumesOnlyWithItsOwnLabels) {
  const TemporaryFolder folder;
  const Dataset dataset = two_kinds(GetParam().labels), other = with_another_label(dataset);
  const TrainConfig config = conditional_config(GetParam().condition);
  Trainer trainer(config, dataset), relabelled(config, other);
  trainer.initialize();
  trainer.save(folder.path());
  const std::filesystem::path checkpoint = find_checkpoint(folder.path());
  trainer.restore(open_checkpoint(checkpoint));
  expect_input_error(
      [&] { relabelled.restore(open_checkpoint(checkpoint)); },
      ::testing::AllOf(::testing::HasSubstr("other labels"), ::testing::HasSubstr(checkpoint.string()),
                       ::testing::HasSubstr("small.npy")));

  nlohmann::ordered_json state = nlohmann::ordered_json::parse(read_file(checkpoint / "state.json"));
  ASSERT_EQ(state.erase("labels_hash"), 1U);
  write_file_atomically(checkpoint / "state.json", state.dump());
  relabelled.restore(open_checkpoint(checkpoint));  // an older version's checkpoint has no hash of labels
}

// An unconditional run ignores labels.
TEST(ConditionalTrainer, UnconditionalRunIgnoresLabels) {
  const TemporaryFolder folder;
  const Dataset dataset = two_kinds(LabelKind::kClasses), other = with_another_label(dataset);
  Trainer trainer(small_config(), dataset), relabelled(small_config(), other);
  trainer.initialize();
  trainer.save(folder.path());
  relabelled.restore(open_checkpoint(folder.path()));
  EXPECT_EQ(relabelled.step(), 0);
}

TEST(ConditionalTrainer, RefusesDataWithoutLabels) {
  const Dataset plain = small_dataset();
  expect_input_error([&] { Trainer(conditional_config("classes"), plain); },
                     ::testing::AllOf(::testing::HasSubstr("small.npy"), ::testing::HasSubstr("no labels")));
}

}  // namespace
}  // namespace ddpm
