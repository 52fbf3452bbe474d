// The published networks to the last parameter, and our own two.
#include "model/unet/presets.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "model/training/train_config.h"
#include "model/weights/parameters.h"
#include "support/atomic_file.h"
#include "tests/model/expect_input_error.h"

namespace ddpm {
namespace {

using ::testing::HasSubstr;

// tests/parity/tensor_names.json, written by diffusers itself.
const nlohmann::json& published() {
  static const nlohmann::json json = nlohmann::json::parse(read_file(DDPM_TENSOR_NAMES));
  return json;
}

class PublishedPreset : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Presets, PublishedPreset,
                         ::testing::Values("ddpm-cifar10-32", "ddim-celeba-64", "ddpm-celebahq-256"),
                         [](const auto& instance) {
                           std::string name = instance.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(PublishedPreset, HasTheTensorsOfDiffusers) {
  std::map<std::string, Shape> expected, actual;
  for (const nlohmann::json& entry : published().at("tensors"))
    if (entry.at(0) == GetParam()) expected[entry.at(1)] = entry.at(2).get<Shape>();
  ASSERT_FALSE(expected.empty());
  for_each_tensor(unet_program(find_preset(GetParam()).network, 1), [&](const NamedTensor& tensor, int64_t) {
    EXPECT_TRUE(actual.emplace(tensor.name, tensor.shape).second) << tensor.name << " twice";
  });
  EXPECT_EQ(actual, expected);
}

TEST_P(PublishedPreset, HasTheParametersOfDiffusers) {
  for (const nlohmann::json& entry : published().at("presets")) {
    if (entry.at("preset") != GetParam()) continue;
    const Program program = unet_program(find_preset(GetParam()).network, 1);
    EXPECT_EQ(program.parameter_count(), entry.at("parameters").get<int64_t>());
    int tensors = 0;
    for_each_tensor(program, [&](const NamedTensor&, int64_t) { ++tensors; });
    EXPECT_EQ(tensors, entry.at("tensors").get<int>());
    return;
  }
  FAIL() << "tensor_names.json lacks " << GetParam();
}

// Counted once from the layers' shapes; a change of these is a change of the presets.
TEST(Presets, OwnNetworksKeepTheirSizes) {
  EXPECT_EQ(unet_program(find_preset("tiny-32").network, 1).parameter_count(), 1'624'323);
  EXPECT_EQ(unet_program(find_preset("demo").network, 1).parameter_count(), 1'063'651);
}

TEST(Presets, EachMakesAConfigurationThatIsAccepted) {
  ASSERT_FALSE(presets().empty());
  for (const Preset& preset : presets()) {
    const TrainConfig config = make_train_config({{"preset", std::string(preset.name)}});
    EXPECT_EQ(config.network, preset.network);
    EXPECT_EQ(config.batch, preset.recipe.batch);
    EXPECT_EQ(config.optimizer.learning_rate, preset.recipe.learning_rate);
    EXPECT_EQ(config.optimizer.warmup_steps, preset.recipe.warmup_steps);
    EXPECT_EQ(config.optimizer.ema_decay, preset.recipe.ema_decay);
    EXPECT_EQ(config.dropout, preset.recipe.dropout);
    EXPECT_EQ(config.diffusion.reduction, preset.recipe.reduction);
    EXPECT_EQ(config.diffusion.draw, preset.recipe.draw);
    EXPECT_EQ(config.steps, preset.recipe.steps);
  }
}

TEST(Presets, UnknownNameListsTheKnownOnes) {
  expect_input_error(
      [] { find_preset("ddpm-cifar"); },
      ::testing::AllOf(HasSubstr("'ddpm-cifar'"), HasSubstr("ddpm-cifar10-32, ddim-celeba-64, "
                                                            "ddpm-celebahq-256, tiny-32, demo")));
}

}  // namespace
}  // namespace ddpm
