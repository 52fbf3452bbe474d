// The one table of options: every option through TOML and back, which source wins, and what is refused.
#include "model/training/train_config.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "support/atomic_file.h"
#include "tests/model/expect_input_error.h"
#include "tests/temporary_folder.h"

namespace ddpm {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class TrainConfigFile : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& text) const {
    const auto path = folder.path() / "config.toml";
    write_file_atomically(path, text);
    return path;
  }
  std::vector<Setting> read(const std::string& text) const { return read_settings(write(text)); }

  TemporaryFolder folder;
};

// For each option a value that is not its default.
std::map<std::string, std::string> other_values() {
  return {{"preset", "demo"},
          {"data", "a \"quoted\" \\ path/with = # and\ttab\nand line's end.npy"},
          {"out", "runs/others"},
          {"steps", "123456789012"},
          {"batch", "7"},
          {"seed", "9223372036854775807"},
          {"device", "cpu"},
          {"precision", "fp32"},
          {"data_placement", "streamed"},
          {"plan_choice", "first"},
          {"plan_check", "warn"},
          {"plan_cache", "plans of/this machine.json"},
          {"workspace_mb", "512"},
          {"upsample", "nearest"},
          {"image_size", "16"},
          {"in_channels", "1"},
          {"block_out_channels", "24,48"},
          {"attention", "true,false"},
          {"center_input_sample", "true"},
          {"attention_up", "false,true"},
          {"resnet_downsampling", "true,false"},
          {"resnet_upsampling", "false,true"},
          {"mid_block", "false"},
          {"mid_block_scale_factor", "1.5"},
          {"mid_attention", "false"},
          {"layers_per_block", "3"},
          {"attention_head_dim", "12"},
          {"norm_num_groups", "6"},
          {"attn_norm_num_groups", "2"},
          {"norm_eps", "1e-05"},
          {"time_embedding_type", "learned"},
          {"time_embedding_dim", "60"},
          {"num_train_timesteps", "600"},
          {"class_embedding", "table"},
          {"num_class_embeds", "3"},
          {"time_embedding_order", "cos_sin"},
          {"freq_shift", "0"},
          {"time_modulation", "scale_shift"},
          {"downsampling", "pad_around"},
          {"initialisation", "pytorch"},
          {"timesteps", "500"},
          {"beta_schedule", "scaled_linear"},
          {"beta_start", "0.00085"},
          {"beta_end", "0.0123456789012345678"},
          {"trained_betas", "0.001,0.30000000000000004,1e-05"},
          {"terminal_snr", "zero"},
          {"prediction", "v_prediction"},
          {"loss_reduction", "sum"},
          {"loss_weighting", "min_snr"},
          {"min_snr_gamma", "2.5"},
          {"timestep_draw", "antithetic"},
          {"horizontal_flip", "false"},
          {"dropout", "0.15"},
          {"condition", "classes"},
          {"label_names", "cat,\"dog\" \\"},
          {"condition_dropout", "0.25"},
          {"attribute_dropout", "0.5"},
          {"learning_rate", "3.0000000000000004e-07"},
          {"warmup_steps", "42"},
          {"beta1", "0.5"},
          {"beta2", "0.99"},
          {"adam_eps", "1e-15"},
          {"weight_decay", "0.01"},
          {"clip_norm", "0"},
          {"ema_decay", "0.5"},
          {"ema_ramp", "true"},
          {"log_every", "3"},
          {"tensorboard", "false"},
          {"checkpoint_every", "11"},
          {"keep_checkpoints", "9"},
          {"sample_every", "0"},
          {"sample_count", "4"},
          {"sampler", "ddpm"},
          {"sample_steps", "17"},
          {"sample_eta", "0.5"},
          {"timestep_spacing", "trailing"},
          {"steps_offset", "1"},
          {"set_alpha_to_one", "false"},
          {"variance_type", "fixed_small"},
          {"clip_sample", "false"},
          {"clip_sample_range", "2.5"},
          {"thresholding", "true"},
          {"dynamic_thresholding_ratio", "0.9"},
          {"sample_max_value", "1.5"},
          {"sample_condition", "cat;0"},
          {"sample_guidance", "2.5"}};
}

// Sets options as they come, whether or not they fit each other.
TrainConfig with_settings(const std::vector<Setting>& settings) {
  TrainConfig config;
  for (const Setting& setting : settings)
    for (const ConfigOption& option : train_options())
      if (option.key == setting.key) option.set(config, setting.text);
  return config;
}

TEST_F(TrainConfigFile, EachOptionRoundTripsThroughToml) {
  std::vector<Setting> others;
  for (const auto& [key, text] : other_values()) others.push_back({key, text});
  const TrainConfig config = with_settings(others), again = with_settings(read(to_toml(config)));
  ASSERT_FALSE(train_options().empty());
  for (const ConfigOption& option : train_options()) {
    ASSERT_TRUE(other_values().contains(option.key))
        << "give this test a value for the new option " << option.key;
    EXPECT_NE(option.get(config), option.get(TrainConfig()))
        << option.key << ": the test's value is the default";
    EXPECT_EQ(option.get(again), option.get(config)) << option.key;
  }
  EXPECT_EQ(to_toml(again), to_toml(config));
  EXPECT_EQ(again.network, config.network);
  EXPECT_EQ(again.optimizer, config.optimizer);
}

TEST_F(TrainConfigFile, NumbersRoundTripToTheLastBit) {
  const TrainConfig config =
      make_train_config({{"learning_rate", "3.0000000000000004e-07"}, {"beta_end", "0.0123456789012345678"}});
  EXPECT_EQ(config.optimizer.learning_rate, 3.0000000000000004e-07);
  EXPECT_EQ(config.schedule.beta_end, 0.0123456789012345678);
  const TrainConfig again = make_train_config(read(to_toml(config)));
  EXPECT_EQ(again.optimizer.learning_rate, config.optimizer.learning_rate);
  EXPECT_EQ(again.schedule.beta_end, config.schedule.beta_end);
}

TEST_F(TrainConfigFile, DefaultsComeBackToo) {
  ASSERT_FALSE(presets().empty());
  for (const Preset& preset : presets()) {
    const TrainConfig config = make_train_config({{"preset", std::string(preset.name)}});
    EXPECT_EQ(to_toml(make_train_config(read(to_toml(config)))), to_toml(config)) << preset.name;
  }
}

TEST(TrainConfig, KeysAreUniqueAndHaveHelp) {
  std::set<std::string> keys;
  ASSERT_FALSE(train_options().empty());
  for (const ConfigOption& option : train_options()) {
    EXPECT_TRUE(keys.insert(option.key).second) << option.key;
    EXPECT_FALSE(option.help.empty()) << option.key;
  }
}

TEST_F(TrainConfigFile, FlagsOverrideTheFileAndTheFileThePreset) {
  std::vector<Setting> settings = read("[run]\npreset = \"demo\"\nbatch = 5\n[optimiser]\nbeta1 = 0.8\n");
  settings.push_back({"batch", "6"});
  const TrainConfig config = make_train_config(settings);
  EXPECT_EQ(config.batch, 6) << "flag over file";
  EXPECT_EQ(config.optimizer.beta1, 0.8) << "file over preset";
  EXPECT_EQ(config.network, find_preset("demo").network) << "preset for the rest";
}

TEST_F(TrainConfigFile, PresetOnTheCommandLineKeepsTheFilesOtherOptions) {
  std::vector<Setting> settings = read("[optimiser]\nlearning_rate = 0.5\n[run]\npreset = \"demo\"\n");
  settings.push_back({"preset", "ddpm-cifar10-32"});
  const TrainConfig config = make_train_config(settings);
  EXPECT_EQ(config.preset, "ddpm-cifar10-32");
  EXPECT_EQ(config.network, find_preset("ddpm-cifar10-32").network);
  EXPECT_EQ(config.optimizer.learning_rate, 0.5) << "wherever the preset is named";
}

TEST_F(TrainConfigFile, ListsAreTomlLists) {
  const TrainConfig config = make_train_config(
      read("[network]\nblock_out_channels = [32, 64]\nattention = [true, false]\nimage_size = 8\n"));
  EXPECT_EQ(config.network.block_out_channels, (std::vector<int>{32, 64}));
  EXPECT_EQ(config.network.attention, (std::vector<bool>{true, false}));
}

TEST(TrainConfig, NetworkHasAsManyOutputsAsInputs) {
  EXPECT_EQ(make_train_config({{"in_channels", "1"}}).network.out_channels, 1);
}

TEST(TrainConfig, SamplesUseTheTrainedPrediction) {
  EXPECT_EQ(make_train_config({{"prediction", "v_prediction"}}).sampler.prediction, Prediction::kVelocity);
}

// ---- what is refused, and where ----

struct BadFile {
  const char* name;
  const char* text;
  std::vector<const char*> sentences;
};

class BadTrainConfigFile : public TrainConfigFile, public ::testing::WithParamInterface<BadFile> {};
INSTANTIATE_TEST_SUITE_P(
    Files, BadTrainConfigFile,
    ::testing::Values(
        BadFile{"UnknownKey", "[run]\nbatch = 4\nbacth = 4\n", {"config.toml:3", "'bacth'", "[run]"}},
        BadFile{"KeyOfAnotherTable",
                "[run]\n\nlearning_rate = 4\n",
                {"config.toml:3", "'learning_rate'", "[run]"}},
        BadFile{"UnknownTable",
                "[run]\nbatch = 4\n\n[optimizer]\nbeta1 = 0.5\n",
                {"config.toml:", "[optimizer]"}},
        BadFile{"UnknownEmptyTable", "\n[optimizer]\n", {"config.toml:2", "optimizer"}},
        BadFile{"KeyWithoutTable", "batch = 4\n", {"config.toml:1", "'batch'", "[run]"}},
        BadFile{"NoToml", "[run]\nbatch 4\n", {"config.toml:2", "TOML"}},
        BadFile{"Twice", "[run]\nbatch = 4\nbatch = 5\n", {"config.toml:3", "TOML"}},
        BadFile{"Date", "[run]\nbatch = 2020-01-01\n", {"config.toml:2"}},
        BadFile{"TextForANumber",
                "[run]\n\nbatch = \"four\"\n",
                {"config.toml:3", "batch", "four", "whole number"}},
        BadFile{"FractionForAWholeNumber", "[run]\nbatch = 4.5\n", {"config.toml:2", "batch", "4.5"}},
        BadFile{
            "NumberForABoolean", "[diffusion]\nhorizontal_flip = 1\n", {"config.toml:2", "true or false"}},
        BadFile{"WordInAList",
                "[network]\nblock_out_channels = [32, \"x\"]\n",
                {"config.toml:2", "block_out_channels"}},
        BadFile{"NegativeSeed", "[run]\nseed = -1\n", {"config.toml:2", "seed", "-1"}},
        BadFile{"TooLarge", "[run]\nbatch = 99999999999\n", {"config.toml:2", "batch"}},
        BadFile{"NotANumber", "[optimiser]\nbeta1 = nan\n", {"config.toml:2", "beta1"}},
        BadFile{"UnknownChoice",
                "[diffusion]\nprediction = \"noise\"\n",
                {"config.toml:2", "'noise'", "epsilon, sample"}},
        BadFile{"UnknownPreset", "[run]\npreset = \"tiny\"\n", {"config.toml:2", "'tiny'", "tiny-32"}}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST_P(BadTrainConfigFile, IsRefusedWithItsLine) {
  for (const char* sentence : GetParam().sentences)
    expect_input_error([&] { read(GetParam().text); }, HasSubstr(sentence));
}

TEST_F(TrainConfigFile, RefusesMissingFile) {
  expect_input_error([&] { read_settings(folder.path() / "none.toml"); }, HasSubstr("none.toml"));
}

struct BadOption {
  std::string key, text, sentence;
};

class BadSetting : public ::testing::TestWithParam<BadOption> {};
INSTANTIATE_TEST_SUITE_P(
    Options, BadSetting,
    ::testing::Values(
        BadOption{"steps", "-1", "steps: expected"}, BadOption{"batch", "0", "batch: expected"},
        BadOption{"batch", "", "batch: expected"}, BadOption{"batch", "4 ", "batch: expected"},
        BadOption{"batch", "0x10", "batch: expected"}, BadOption{"seed", "-1", "seed: expected"},
        BadOption{"seed", "9223372036854775808", "seed: expected"},
        BadOption{"device", "gpu", "auto, cpu, cuda"}, BadOption{"timesteps", "0", "timesteps: expected"},
        BadOption{"timesteps", "222223221", "1000000"}, BadOption{"sample_steps", "222223221", "1000000"},
        BadOption{"beta_start", "-0.1", "beta is -0.1"}, BadOption{"beta_end", "1.5", "beta is 1."},
        BadOption{"beta_schedule", "cosine", "squaredcos_cap_v2"},
        BadOption{"dropout", "1", "dropout: expected"}, BadOption{"dropout", "-0.1", "dropout: expected"},
        BadOption{"learning_rate", "0", "learning_rate: expected"},
        BadOption{"learning_rate", "inf", "learning_rate: expected"},
        BadOption{"learning_rate", "1e999", "learning_rate: expected"},
        BadOption{"condition", "class", "none, classes, attributes"},
        BadOption{"condition_dropout", "1", "condition_dropout: expected"},
        BadOption{"attribute_dropout", "-1", "attribute_dropout: expected"},
        BadOption{"sample_condition", "cat", "set condition"},
        BadOption{"sample_guidance", "2", "set condition"},
        BadOption{"sample_guidance", "-1", "sample_guidance: expected"},
        BadOption{"min_snr_gamma", "0", "min_snr_gamma: expected"},
        BadOption{"loss_weighting", "snr", "none, min_snr"},
        BadOption{"warmup_steps", "-1", "warmup_steps: expected"}, BadOption{"beta1", "1", "beta1: expected"},
        BadOption{"beta2", "-0.5", "beta2: expected"}, BadOption{"adam_eps", "-1", "adam_eps: expected"},
        BadOption{"weight_decay", "-1", "weight_decay: expected"},
        BadOption{"clip_norm", "-1", "clip_norm: expected"},
        BadOption{"ema_decay", "1", "ema_decay: expected"}, BadOption{"ema_ramp", "yes", "true or false"},
        BadOption{"log_every", "0", "log_every: expected"},
        BadOption{"checkpoint_every", "0", "checkpoint_every: expected"},
        BadOption{"keep_checkpoints", "0", "keep_checkpoints: expected"},
        BadOption{"sample_every", "-1", "sample_every: expected"},
        BadOption{"sample_count", "0", "sample_count: expected"},
        BadOption{"sampler", "ancestral", "ddpm, ddim"}, BadOption{"sample_steps", "0", "steps"},
        BadOption{"sample_steps", "1001", "steps"},
        BadOption{"attention", "true,,false", "attention: expected"},
        BadOption{"attention", "true,false,false,", "attention: expected"},
        BadOption{"block_out_channels", "32;64", "block_out_channels: expected"},
        BadOption{"block_out_channels", "", "block_out_channels"},
        BadOption{"norm_num_groups", "7", "norm_num_groups"},
        BadOption{"image_size", "-32", "image of -32 pixels"}),
    [](const auto& instance) { return instance.param.key + "_" + std::to_string(instance.index); });

TEST_P(BadSetting, IsRefusedWithAHelpfulMessage) {
  const auto& [key, text, sentence] = GetParam();
  const char* const value = sentence.ends_with("expected") ? "got " : "";
  expect_input_error([&] { make_train_config({{key, text}}); }, AllOf(HasSubstr(sentence), HasSubstr(value)));
}

TEST(TrainConfig, RefusesUnknownSetting) {
  expect_input_error([] { make_train_config({{"bacth", "4"}}); }, HasSubstr("'bacth'"));
}

}  // namespace
}  // namespace ddpm
