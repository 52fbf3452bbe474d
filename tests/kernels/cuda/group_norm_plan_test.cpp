// Tiling of group norm: all shapes of the presets, and each branch of the choice.
#include "kernels/cuda/group_norm_plan.h"

#include <gtest/gtest.h>

#include <string>

namespace ddpm::cuda {
namespace {

constexpr int kPasses = 2;

GroupNormPlan plan_of(int side, int channels, int n = 128, int groups = 32, int element_bytes = 2,
                      GroupNormPass pass = GroupNormPass::kForward) {
  return plan_group_norm({.n = n, .pixels = side * side, .x_channels = channels, .groups = groups},
                         element_bytes, pass);
}

// What every kernel relies on.
void expect_valid(const GroupNormPlan& plan, int arrays) {
  EXPECT_EQ(plan.slice % plan.width, 0);
  EXPECT_EQ(plan.slice % plan.channels_per_group, 0);
  EXPECT_EQ(plan.channels % plan.slice, 0);
  EXPECT_LE(plan.threads(), kGroupNormMaxThreads);
  EXPECT_LE(plan.rows, plan.chunk);
  EXPECT_LE(plan.shared_bytes(arrays), size_t{227} * 1024);
  if (plan.path == GroupNormPath::kResident) {
    EXPECT_EQ(plan.chunk, plan.params.pixels);
  } else {
    EXPECT_EQ(plan.images, 1);
    EXPECT_GE(plan.threads(), 32) << "whole warps combine the chunks";
  }
}

TEST(GroupNormPlan, IsValidForAllPresetShapes) {
  for (const int element_bytes : {2, 4})
    for (int side = 4; side <= 256; side *= 2)
      for (const int channels : {32, 64, 96, 128, 192, 256, 384, 512, 640, 768, 896, 1024})
        for (int pass = 0; pass < kPasses; ++pass) {
          SCOPED_TRACE(std::to_string(side) + 'x' + std::to_string(channels));
          const auto which = static_cast<GroupNormPass>(pass);
          const int groups = channels >= 128 ? 32 : 8;
          expect_valid(plan_of(side, channels, 128, groups, element_bytes, which),
                       which == GroupNormPass::kForward ? kForwardArrays : kBackwardArrays);
        }
}

TEST(GroupNormPlan, BatchesSmallImagesAndChannels) {
  EXPECT_EQ(plan_of(4, 512).slice, 512);
  EXPECT_EQ(plan_of(4, 128).images, 4);
  EXPECT_EQ(plan_of(4, 128, 3).images, 2) << "no more than there are";
}

TEST(GroupNormPlan, SharesMultiprocessorIfHalfALineFits) {
  const GroupNormPlan plan = plan_of(32, 128);
  EXPECT_EQ(plan.path, GroupNormPath::kResident);
  EXPECT_EQ(plan.slice, 32);
  EXPECT_EQ(plan.threads(), 256);
}

TEST(GroupNormPlan, PrefersFullMultiprocessorToSecondRead) {
  for (const int channels : {128, 256, 384}) {
    const GroupNormPlan plan = plan_of(64, channels);
    EXPECT_EQ(plan.path, GroupNormPath::kResident) << channels;
    EXPECT_GT(plan.threads(), 256) << channels;
  }
}

TEST(GroupNormPlan, UsesTwoPhasesIfNoBlockFits) {
  EXPECT_EQ(plan_of(128, 128).path, GroupNormPath::kTwoPhase);
  EXPECT_EQ(plan_of(128, 128, 128, 32, 2, GroupNormPass::kBackward).path, GroupNormPath::kTwoPhase);
  EXPECT_EQ(plan_of(32, 768, 128, 32, 2, GroupNormPass::kBackward).path, GroupNormPath::kResident);
}

TEST(GroupNormPlan, BackwardPrefersHalfASectorToSecondRead) {
  for (const int channels : {128, 256}) {
    const GroupNormPlan plan = plan_of(64, channels, 128, 32, 2, GroupNormPass::kBackward);
    EXPECT_EQ(plan.path, GroupNormPath::kResident) << channels;
    EXPECT_EQ(plan.vectors(), 1) << channels;
  }
  // Groups of 12 channels: 8 fill a vector, and 24 are the least common multiple, 48 bytes per pixel.
  EXPECT_EQ(plan_of(64, 384, 128, 32, 2, GroupNormPass::kBackward).path, GroupNormPath::kTwoPhase);
}

TEST(GroupNormPlan, RangeOfUnitsFitsInL2) {
  const GroupNormPlan plan = plan_of(128, 128);  // a unit is 16384 pixels of 128 bytes: 2 MB
  EXPECT_EQ(units_per_range(plan, GroupNormPass::kForward), 8);
  EXPECT_EQ(units_per_range(plan, GroupNormPass::kBackward), 4);
  const GroupNormPlan small = plan_of(128, 128, 2);
  EXPECT_EQ(units_per_range(small, GroupNormPass::kForward), small.units());
}

}  // namespace
}  // namespace ddpm::cuda
