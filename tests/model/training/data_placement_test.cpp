#include "model/training/data_placement.h"

#include <gtest/gtest.h>

namespace ddpm {
namespace {

TEST(DataPlacement, AutoLeavesTheNetworkHalfOfTheFreeMemory) {
  EXPECT_EQ(place_data(DataPlacement::kAuto, 50, 100), DataPlacement::kResident);
  EXPECT_EQ(place_data(DataPlacement::kAuto, 51, 100), DataPlacement::kStreamed);
  EXPECT_EQ(place_data(DataPlacement::kAuto, 51, 0), DataPlacement::kResident) << "the CPU maps the file";
}

TEST(DataPlacement, FollowsTheUsersChoice) {
  EXPECT_EQ(place_data(DataPlacement::kStreamed, 1, 100), DataPlacement::kStreamed);
  EXPECT_EQ(place_data(DataPlacement::kResident, 99, 100), DataPlacement::kResident);
}

}  // namespace
}  // namespace ddpm
