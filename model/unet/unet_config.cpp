// Checks which U-Nets can be built.
#include "model/unet/unet.h"
#include "support/error.h"

namespace ddpm {
namespace {

void check_extents(const UnetConfig& c) {
  const int levels = c.levels();
  if (levels < 1) throw_input("block_out_channels: expected one number or more, got none");
  constexpr int kMostLevels = 16;  // an image of 32768 pixels
  if (levels > kMostLevels)
    throw_input("block_out_channels: expected at most {} levels, got {}", kMostLevels, levels);
  if (c.in_channels < 1 || c.out_channels < 1) throw_input("in_channels and out_channels must be at least 1");
  if (c.layers_per_block < 1) throw_input("layers_per_block must be at least 1, not {}", c.layers_per_block);
  const int factor = 1 << (levels - 1);
  if (c.image_size < factor || c.image_size % factor != 0)
    throw_input("an image of {} pixels cannot be halved {} times: choose a multiple of {}", c.image_size,
                levels - 1, factor);
}

void check_levels(const UnetConfig& c) {
  const auto check = [&](const char* key, const std::vector<bool>& values) {
    if (static_cast<int>(values.size()) != c.levels())
      throw_input("{} has {} entries, but block_out_channels has {} levels: give one for each", key,
                  values.size(), c.levels());
  };
  check("attention", c.attention);
  if (!c.attention_up.empty()) check("attention_up", c.attention_up);
  if (!c.resnet_downsampling.empty()) check("resnet_downsampling", c.resnet_downsampling);
  if (!c.resnet_upsampling.empty()) check("resnet_upsampling", c.resnet_upsampling);
}

void check_norms(const UnetConfig& c) {
  if (c.norm_num_groups < 1) throw_input("norm_num_groups must be at least 1, not {}", c.norm_num_groups);
  if (c.attn_norm_num_groups < 0)
    throw_input("attn_norm_num_groups must be at least 0, not {}", c.attn_norm_num_groups);
  if (!(c.norm_eps > 0)) throw_input("norm_eps must be greater than 0, not {}", c.norm_eps);
  for (const int width : c.block_out_channels)
    if (width < 1 || width % c.norm_num_groups != 0)
      throw_input("block_out_channels: {} is not a multiple of norm_num_groups ({})", width,
                  c.norm_num_groups);
  const int middle = c.block_out_channels.back();
  if (c.mid_block && c.mid_attention && c.attn_norm_num_groups > 0 && middle % c.attn_norm_num_groups != 0)
    throw_input("block_out_channels: {} is not a multiple of attn_norm_num_groups ({})", middle,
                c.attn_norm_num_groups);
}

void check_attention(const UnetConfig& c) {
  if (c.attention_head_dim < 0)
    throw_input("attention_head_dim must be at least 0, not {}", c.attention_head_dim);
  for (int level = 0; level < c.levels(); ++level) {
    const bool middle = level + 1 == c.levels() && c.mid_block && c.mid_attention;
    const bool attends = c.attends_down(level) || c.attends_up(level) || middle;
    if (attends && c.attention_head_dim > 0 && c.channels(level) % c.attention_head_dim != 0)
      throw_input("block_out_channels: {} is not a multiple of attention_head_dim ({})", c.channels(level),
                  c.attention_head_dim);
  }
}

void check_time(const UnetConfig& c) {
  const int width = c.block_out_channels[0];
  if (c.time_embedding_dim < 0)
    throw_input("time_embedding_dim must be at least 0, not {}", c.time_embedding_dim);
  if (c.time_embedding_type == TimeEmbeddingType::kLearned && c.num_train_timesteps < 1)
    throw_input("num_train_timesteps must be at least 1 for a learned time embedding, not {}",
                c.num_train_timesteps);
  if (c.time_embedding_type == TimeEmbeddingType::kPositional) {
    if (width % 2 != 0) throw_input("block_out_channels must begin with an even number");
    // The frequencies are exp(-ln(10000) i / (half - freq_shift)).
    const int half = width / 2;
    if (!(c.freq_shift < half))
      throw_input("freq_shift = {}: it must be below half the first of block_out_channels ({})", c.freq_shift,
                  width);
  }
  if (c.class_embedding == ClassEmbedding::kTable && c.num_class_embeds < 1)
    throw_input("num_class_embeds must be at least 1 for a table of class embeddings, not {}",
                c.num_class_embeds);
  if (!(c.mid_block_scale_factor > 0))
    throw_input("mid_block_scale_factor must be greater than 0, not {}", c.mid_block_scale_factor);
}

}  // namespace

void validate(const UnetConfig& config) {
  check_extents(config);
  check_levels(config);
  check_norms(config);
  check_attention(config);
  check_time(config);
}

}  // namespace ddpm
