// The structure of the network that a configuration means, and configurations that mean none. What it
// computes is held against diffusers in tests/parity.
#include "model/unet/unet.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "model/unet/presets.h"
#include "tests/model/expect_input_error.h"

namespace ddpm {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

template <typename Op>
std::vector<std::pair<std::string, Op>> all_of(const Program& program) {
  std::vector<std::pair<std::string, Op>> found;
  for (const Operation& operation : program.operations())
    if (const auto* op = std::get_if<Op>(&operation.operation)) found.emplace_back(operation.name, *op);
  return found;
}

TEST(Unet, CifarNetworkHasAttentionAtSixteenPixelsAndInTheMiddle) {
  std::vector<std::string> names;
  for (const auto& [name, op] : all_of<Attention>(unet_program(find_preset("ddpm-cifar10-32").network, 2))) {
    names.push_back(name);
    EXPECT_EQ(op.shape.heads, 1);
    EXPECT_EQ(op.shape.head_dim, 256);
    EXPECT_EQ(op.shape.length, name.starts_with("mid") ? 4 * 4 : 16 * 16);
  }
  EXPECT_EQ(names, (std::vector<std::string>{"down_blocks.1.attentions.0", "down_blocks.1.attentions.1",
                                             "mid_block.attentions.0", "up_blocks.2.attentions.0",
                                             "up_blocks.2.attentions.1", "up_blocks.2.attentions.2"}));
}

TEST(Unet, HeadsAreTheChannelsDividedByTheirWidth) {
  UnetConfig config = find_preset("tiny-32").network;
  config.attention_head_dim = 16;
  const auto attentions = all_of<Attention>(unet_program(config, 1));
  ASSERT_FALSE(attentions.empty());
  for (const auto& [name, op] : attentions) {
    EXPECT_EQ(op.shape.heads, 4) << name;
    EXPECT_EQ(op.shape.head_dim, 16) << name;
  }
}

TEST(Unet, DownsamplingPadsAsConfigured) {
  UnetConfig config = find_preset("tiny-32").network;
  for (const auto& [downsampling, before] :
       {std::pair{Downsampling::kPadAfter, 0}, {Downsampling::kPadAround, 1}}) {
    config.downsampling = downsampling;
    int strided = 0;
    for (const auto& [name, op] : all_of<Conv2d>(unet_program(config, 1))) {
      if (op.shape.stride == 1) continue;
      ++strided;
      EXPECT_EQ(op.shape.pad_before, before) << name;
      EXPECT_EQ(op.shape.pad_after, 1) << name;
    }
    EXPECT_EQ(strided, 2) << "one between two levels";
  }
}

TEST(Unet, ConcatenationIsNeverWritten) {
  const UnetConfig config = find_preset("tiny-32").network;
  int of_two_sources = 0;
  for (const auto& [name, op] : all_of<GroupNorm>(unet_program(config, 1))) {
    of_two_sources += op.skip != kNoBuffer ? 1 : 0;
    EXPECT_EQ(op.skip != kNoBuffer, name.starts_with("up_blocks") && name.ends_with("norm1")) << name;
  }
  EXPECT_EQ(of_two_sources, 3 * 3) << "layers_per_block + 1 in each of three levels";
}

TEST(Unet, TimeProjectionsOfAllBlocksAreOneGemm) {
  UnetConfig config = find_preset("tiny-32").network;
  EXPECT_EQ(all_of<Linear>(unet_program(config, 1)).size(), 3u);
  const int64_t width = all_of<Linear>(unet_program(config, 1)).back().second.params.out;
  config.time_modulation = TimeModulation::kScaleShift;
  EXPECT_EQ(all_of<Linear>(unet_program(config, 1)).back().second.params.out, 2 * width);
  // 32, 64, 64 channels: two blocks down and three up in each level, two in the middle.
  EXPECT_EQ(width, 5 * (32 + 64 + 64) + 2 * 64);
}

TEST(Unet, EachSecondConvolutionHasItsOwnDropoutMask) {
  Program program;
  const UnetConfig config = find_preset("tiny-32").network;
  const BufferId x = program.add_buffer("x", {2, 32, 32, 3}, Role::kState);
  const BufferId t = program.add_buffer("t", {2}, Role::kState, DType::kMaster);
  const BufferId step = program.add_buffer("step", {1}, Role::kState, DType::kIndex);
  const BufferId y =
      build_unet(program, config, {.batch = 2, .x = x, .t = t, .dropout = 0.1, .step = step, .seed = 1});
  EXPECT_EQ(program.shape(y), (Shape{2, 32, 32, 3}));
  std::set<uint32_t> streams;
  size_t dropouts = 0;
  for (const auto& [name, op] : all_of<GroupNorm>(program)) {
    EXPECT_EQ(op.params.dropout > 0, name.ends_with("norm2")) << name;
    if (op.params.dropout == 0) continue;
    ++dropouts;
    streams.insert(op.params.dropout_stream);
  }
  EXPECT_EQ(streams.size(), dropouts);
  EXPECT_EQ(dropouts, 6u + 2 + 9);
}

TEST(Unet, LookedUpBufferNamesAreUnique) {
  const Program program = unet_program(find_preset("tiny-32").network, 3);
  EXPECT_EQ(program.shape(program.find("x")), (Shape{3, 32, 32, 3}));
  EXPECT_EQ(program.shape(program.find("t")), (Shape{3}));
  EXPECT_EQ(program.shape(program.find("conv_out")), (Shape{3, 32, 32, 3}));
}

struct BadConfig {
  const char* name;
  void (*spoil)(UnetConfig&);
  const char* sentence;
};

class BadUnet : public ::testing::TestWithParam<BadConfig> {};
INSTANTIATE_TEST_SUITE_P(
    Configurations, BadUnet,
    ::testing::Values(
        BadConfig{"NoLevels", [](UnetConfig& c) { c.block_out_channels.clear(); },
                  "expected one number or more"},
        BadConfig{"AttentionOfOtherLength", [](UnetConfig& c) { c.attention = {true}; },
                  "attention has 1 entries"},
        BadConfig{"NoChannels", [](UnetConfig& c) { c.in_channels = 0; }, "in_channels"},
        BadConfig{"NoLayers", [](UnetConfig& c) { c.layers_per_block = 0; }, "layers_per_block"},
        BadConfig{"NoGroups", [](UnetConfig& c) { c.norm_num_groups = 0; }, "norm_num_groups"},
        BadConfig{"GroupsThatDoNotDivide", [](UnetConfig& c) { c.norm_num_groups = 3; },
                  "multiple of norm_num_groups"},
        BadConfig{"HeadsThatDoNotDivide", [](UnetConfig& c) { c.attention_head_dim = 5; },
                  "attention_head_dim"},
        BadConfig{"NegativeHead", [](UnetConfig& c) { c.attention_head_dim = -8; }, "attention_head_dim"},
        BadConfig{"MiddleGroups", [](UnetConfig& c) { c.attn_norm_num_groups = 7; }, "attn_norm_num_groups"},
        BadConfig{"NegativeEps", [](UnetConfig& c) { c.norm_eps = -1; }, "norm_eps"},
        BadConfig{"ImageThatCannotBeHalved", [](UnetConfig& c) { c.image_size = 30; },
                  "30 pixels cannot be halved 2"},
        BadConfig{"ImageTooSmall", [](UnetConfig& c) { c.image_size = 2; }, "2 pixels"},
        BadConfig{"NoImage", [](UnetConfig& c) { c.image_size = 0; }, "0 pixels"},
        BadConfig{"OddWidth",
                  [](UnetConfig& c) {
                    c.norm_num_groups = 1, c.block_out_channels = {7, 8, 8};
                  },
                  "even"},
        BadConfig{"FrequencyShift", [](UnetConfig& c) { c.freq_shift = 16; }, "freq_shift"},
        BadConfig{"TooManyLevels",
                  [](UnetConfig& c) { c.block_out_channels.assign(40, 32), c.attention.assign(40, false); },
                  "expected at most 16 levels, got 40"}),
    [](const auto& instance) { return std::string(instance.param.name); });

TEST_P(BadUnet, IsRefusedNamingTheField) {
  UnetConfig config = find_preset("tiny-32").network;
  GetParam().spoil(config);
  expect_input_error([&] { validate(config); }, HasSubstr(GetParam().sentence));
}

}  // namespace
}  // namespace ddpm
