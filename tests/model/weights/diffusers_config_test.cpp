// diffusers' configuration files: what they mean here, what is refused, and what is written. The oracle are
// files that diffusers itself wrote (tests/parity/fixtures) and the table of its defaults.
#include "model/weights/diffusers_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "model/unet/presets.h"
#include "support/atomic_file.h"
#include "tests/model/expect_input_error.h"

namespace ddpm {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::filesystem::path fixtures() { return DDPM_PARITY_FIXTURES; }
json read_json(const std::filesystem::path& path) { return json::parse(read_file(path)); }

json defaults_of(const std::string& name) {
  const json file = read_json(fixtures() / "defaults.json");
  for (const json& one : file.at("classes"))
    if (one.at("_class_name") == name) return one.at("defaults");
  return {};
}

DiffusersUnet parse_unet(const json& config) { return parse_unet_config(config.dump(), "config.json"); }
DiffusersScheduler parse_scheduler(const json& config) {
  return parse_scheduler_config(config.dump(), "scheduler_config.json");
}

std::vector<std::string> cases() { return read_json(fixtures() / "unet_cases.json").at("cases"); }

class DiffusersUnetConfig : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Fixtures, DiffusersUnetConfig, ::testing::ValuesIn(cases()),
                         [](const auto& instance) { return instance.param; });

// What resamples an attention block's level has no meaning where no such block resamples: all but the last
// one do.
void remove_idle_resampler(json& config, const char* types_key, const char* resampler_key) {
  std::vector<std::string> types = config.at(types_key);
  types.pop_back();
  if (std::none_of(types.begin(), types.end(),
                   [](const std::string& type) { return type.starts_with("Attn"); }))
    config.erase(resampler_key);
}

TEST_P(DiffusersUnetConfig, WritesWhatDiffusersWrites) {
  json theirs = read_json(fixtures() / GetParam() / "config.json");
  const DiffusersUnet unet = parse_unet(theirs);
  json ours = json::parse(unet_config_json(unet));
  EXPECT_EQ(parse_unet(ours).network, unet.network);
  for (json* config : {&theirs, &ours}) {
    remove_idle_resampler(*config, "down_block_types", "downsample_type");
    remove_idle_resampler(*config, "up_block_types", "upsample_type");
  }
  EXPECT_EQ(json::diff(theirs, ours), json::array());
}

TEST(DiffusersUnetConfig, AbsentKeysHaveDiffusersDefaults) {
  json everything = defaults_of("UNet2DModel");
  everything["sample_size"] = 64;
  EXPECT_EQ(parse_unet({{"sample_size", 64}}).network, parse_unet(everything).network);
}

TEST(DiffusersUnetConfig, PresetsArePublishedModels) {
  const DiffusersUnet unet =
      parse_unet({{"_class_name", "UNet2DModel"},
                  {"_diffusers_version", "0.0.4"},
                  {"act_fn", "silu"},
                  {"attention_head_dim", nullptr},
                  {"block_out_channels", {128, 256, 256, 256}},
                  {"center_input_sample", false},
                  {"down_block_types", {"DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"}},
                  {"downsample_padding", 0},
                  {"flip_sin_to_cos", false},
                  {"freq_shift", 1},
                  {"in_channels", 3},
                  {"layers_per_block", 2},
                  {"mid_block_scale_factor", 1},
                  {"norm_eps", 1e-06},
                  {"norm_num_groups", 32},
                  {"out_channels", 3},
                  {"sample_size", 32},
                  {"time_embedding_type", "positional"},
                  {"up_block_types", {"UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"}}});
  UnetConfig preset = find_preset("ddpm-cifar10-32").network;
  preset.initialization = unet.network.initialization;
  EXPECT_EQ(unet.network, preset);
}

TEST(DiffusersUnetConfig, OldBlockNamesHaveAPrefix) {
  const json base = {{"sample_size", 32}, {"block_out_channels", {32}}, {"attention_head_dim", nullptr}};
  json config = base;
  config["down_block_types"] = {"UNetResAttnDownBlock2D"};
  config["up_block_types"] = {"UNetResUpBlock2D"};
  const UnetConfig network = parse_unet(config).network;
  EXPECT_TRUE(network.attends_down(0));
  EXPECT_FALSE(network.attends_up(0));
}

TEST(DiffusersUnetConfig, DifferencesBetweenLevelsRoundTrip) {
  UnetConfig network;
  network.image_size = 32;
  network.block_out_channels = {32, 64, 96};
  network.attention = {true, false, false};
  network.attention_up = {false, true, false};
  network.resnet_downsampling = {false, true, false};
  network.resnet_upsampling = {false, false, true};
  network.initialization = Initialization::kPyTorch;
  const std::string text = unet_config_json({.network = network, .dropout = 0.25});
  EXPECT_EQ(parse_unet_config(text, "").network, network);
  EXPECT_EQ(parse_unet_config(text, "").dropout, 0.25);
}

TEST(DiffusersUnetConfig, RefusesToWriteWhatDiffusersLacks) {
  UnetConfig network;
  network.attention = {true, true, false, false};
  network.resnet_downsampling = {true, false, false, false};
  expect_input_error([&] { unet_config_json({.network = network}); }, HasSubstr("down_block_types"));
}

struct Refused {
  std::string key;
  json value;
};
void PrintTo(const Refused& refused, std::ostream* out) { *out << refused.key << " = " << refused.value; }

class RefusedUnetConfig : public ::testing::TestWithParam<Refused> {};
INSTANTIATE_TEST_SUITE_P(
    Keys, RefusedUnetConfig,
    ::testing::Values(Refused{"act_fn", "gelu"}, Refused{"sample_size", nullptr},
                      Refused{"sample_size", {32, 48}}, Refused{"sample_size", 1e300},
                      Refused{"in_channels", "3"}, Refused{"in_channels", 2.5},
                      Refused{"down_block_types",
                              {"SkipDownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"}},
                      Refused{"up_block_types", {"UpBlock2D"}}, Refused{"down_block_types", "DownBlock2D"},
                      Refused{"block_out_channels", {32, "64"}},
                      Refused{"mid_block_type", "UNetMidBlock2DCrossAttn"}, Refused{"downsample_padding", 2},
                      Refused{"downsample_type", "fir"}, Refused{"resnet_time_scale_shift", "spatial"},
                      Refused{"time_embedding_type", "rotary"}, Refused{"class_embed_type", "projection"},
                      Refused{"add_attention", 1}, Refused{"encoder_hid_dim", 768}),
    [](const auto& instance) { return instance.param.key + "_" + std::to_string(instance.index); });

TEST_P(RefusedUnetConfig, NamesFileKeyAndValue) {
  json config = {{"sample_size", 32}};
  config[GetParam().key] = GetParam().value;
  expect_input_error([&] { parse_unet(config); }, AllOf(HasSubstr("config.json"), HasSubstr(GetParam().key),
                                                        HasSubstr(GetParam().value.dump())));
}

TEST(DiffusersUnetConfig, RefusesImpossibleNetworksAndInvalidJson) {
  const auto refused = [](const char* text, const char* reason) {
    expect_input_error([&] { parse_unet_config(text, "a/config.json"); },
                       AllOf(HasSubstr("a/config.json"), HasSubstr(reason)));
  };
  refused(R"({"sample_size": 32, "norm_num_groups": 31})", "norm_num_groups");
  refused(R"({"sample_size": 33})", "33");
  refused("[]", "expected a JSON object");
  refused("{\"sample_size\": 32", "expected a JSON object");
  refused("", "expected a JSON object");
  refused("\xff\xfe", "expected a JSON object");
}

TEST(DiffusersSchedulerConfig, AbsentKeysHaveDiffusersDefaults) {
  for (const char* name : {"DDPMScheduler", "DDIMScheduler"}) {
    json everything = defaults_of(name);
    everything["_class_name"] = name;
    const DiffusersScheduler given = parse_scheduler(everything),
                             absent = parse_scheduler({{"_class_name", name}});
    EXPECT_EQ(scheduler_config_json(given), scheduler_config_json(absent)) << name;
    EXPECT_EQ(given.sampler.method, absent.sampler.method);
    EXPECT_EQ(given.sampler.set_alpha_to_one, absent.sampler.set_alpha_to_one);
  }
}

TEST(DiffusersSchedulerConfig, IsWrittenWithDiffusersKeys) {
  json wanted = defaults_of("DDPMScheduler"),
       ours = json::parse(scheduler_config_json(parse_scheduler(json::object())));
  for (const char* note : {"_class_name", "_diffusers_version"}) ours.erase(note);
  EXPECT_EQ(json::diff(wanted, ours), json::array());
}

TEST(DiffusersSchedulerConfig, EachKeyRoundTrips) {
  json config = {{"num_train_timesteps", 4},
                 {"beta_start", 0.01},
                 {"beta_end", 0.3},
                 {"beta_schedule", "scaled_linear"},
                 {"trained_betas", {0.1, 0.2, 0.3, 0.4}},
                 {"variance_type", "fixed_large"},
                 {"clip_sample", false},
                 {"clip_sample_range", 2.5},
                 {"prediction_type", "v_prediction"},
                 {"timestep_spacing", "trailing"},
                 {"steps_offset", 1},
                 {"rescale_betas_zero_snr", true},
                 {"thresholding", true},
                 {"dynamic_thresholding_ratio", 0.9},
                 {"sample_max_value", 1.5}};
  json ours = json::parse(scheduler_config_json(parse_scheduler(config)));
  for (const auto& [key, value] : config.items()) EXPECT_EQ(ours.at(key), value) << key;
}

TEST(DiffusersSchedulerConfig, ReadsPredictEpsilonOfOldFiles) {
  EXPECT_EQ(parse_scheduler({{"predict_epsilon", false}, {"tensor_format", "pt"}}).sampler.prediction,
            Prediction::kSample);
  EXPECT_EQ(parse_scheduler({{"predict_epsilon", true}}).sampler.prediction, Prediction::kEpsilon);
}

TEST(DiffusersSchedulerConfig, RefusesUnsupportedKeysAndValues) {
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, std::string>>{{"_class_name", "\"PNDMScheduler\""},
                                                        {"beta_schedule", "\"exponential\""},
                                                        {"variance_type", "\"learned\""},
                                                        {"prediction_type", "\"flow\""},
                                                        {"timestep_spacing", "\"even\""},
                                                        {"trained_betas", "\"none\""},
                                                        {"num_train_timesteps", "0.5"},
                                                        {"skip_prk_steps", "true"}}) {
    const std::string plain = value.front() == '"' ? value.substr(1, value.size() - 2) : value;
    expect_input_error(
        [&, k = key, v = value] {
          parse_scheduler({{k, json::parse(v)}});
        },
        AllOf(HasSubstr("scheduler_config.json"), HasSubstr(plain)));
  }
  expect_input_error([] { parse_scheduler({{"beta_end", 2}}); }, HasSubstr("scheduler_config.json"));
}

}  // namespace
}  // namespace ddpm
