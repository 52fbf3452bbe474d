#include "tests/parity/unet_config.h"

#include <nlohmann/json.hpp>
#include <string>

#include "support/error.h"

namespace ddpm::parity {
namespace {

// Keys that model/unet.h has no field for, and the value that stands for their absence.
const nlohmann::json kOnlyValue = {{"act_fn", "silu"},
                                   {"center_input_sample", false},
                                   {"class_embed_type", nullptr},
                                   {"downsample_type", "conv"},
                                   {"dropout", 0.0},
                                   {"mid_block_scale_factor", 1},
                                   {"mid_block_type", "UNetMidBlock2D"},
                                   {"num_class_embeds", nullptr},
                                   {"num_train_timesteps", nullptr},
                                   {"time_embedding_dim", nullptr},
                                   {"time_embedding_type", "positional"},
                                   {"upsample_type", "conv"}};

[[noreturn]] void refuse(const std::string& key, const nlohmann::json& value) {
  throw_input("{} = {} cannot be expressed", key, value.dump());
}

// Where diffusers writes null for a number, ours is 0.
int number_or_zero(const nlohmann::json& value) { return value.is_null() ? 0 : value.get<int>(); }

// Whether a block has attention; `plain` and `attending` are its two names.
bool attends(const std::string& key, const std::string& type, const char* plain, const char* attending) {
  if (type != plain && type != attending) refuse(key, type);
  return type == attending;
}

}  // namespace

UnetConfig unet_config(const nlohmann::json& json) {
  for (const auto& [key, value] : kOnlyValue.items())
    if (json.at(key) != value) refuse(key, json.at(key));

  UnetConfig config;
  config.image_size = json.at("sample_size");
  config.in_channels = json.at("in_channels");
  config.out_channels = json.at("out_channels");
  config.block_out_channels = json.at("block_out_channels").get<std::vector<int>>();
  config.layers_per_block = json.at("layers_per_block");
  config.attention_head_dim =
      json.at("attention_head_dim").is_null() ? 0 : json.at("attention_head_dim").get<int>();
  config.mid_attention = json.at("add_attention");
  config.norm_num_groups = json.at("norm_num_groups");
  config.attn_norm_num_groups = number_or_zero(json.at("attn_norm_num_groups"));
  config.norm_eps = json.at("norm_eps");
  config.freq_shift = json.at("freq_shift");
  config.time_embedding_order =
      json.at("flip_sin_to_cos") ? TimeEmbeddingOrder::kCosSin : TimeEmbeddingOrder::kSinCos;
  config.downsampling =
      json.at("downsample_padding") == 0 ? Downsampling::kPadAfter : Downsampling::kPadAround;
  config.time_modulation = json.at("resnet_time_scale_shift") == "scale_shift" ? TimeModulation::kScaleShift
                                                                               : TimeModulation::kShift;

  config.attention.clear();
  for (const std::string type : json.at("down_block_types"))
    config.attention.push_back(attends("down_block_types", type, "DownBlock2D", "AttnDownBlock2D"));
  size_t level = config.attention.size();
  for (const std::string type : json.at("up_block_types"))
    if (attends("up_block_types", type, "UpBlock2D", "AttnUpBlock2D") != config.attention.at(--level))
      refuse("up_block_types", json.at("up_block_types"));
  return config;
}

}  // namespace ddpm::parity
