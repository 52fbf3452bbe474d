// Results of the emulated functions, by CUDA's rules.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/device/device_memory.h"
#include "tests/device/emulator/probes/kernels.h"

namespace ddpm {
namespace {

using emulator::EmulatorError;
using testing::HasSubstr;
using testing::ThrowsMessage;

// The value that a lane reads, by the table in the programming guide; its own where the
// guide says "unchanged".
int expected_shuffle(int kind, int lane, int argument, int width) {
  const int segment = lane - lane % width;
  int source = lane;
  if (kind == 0) source = segment + argument % width;
  if (kind == 1) source = lane % width - argument >= 0 ? lane - argument : lane;
  if (kind == 2) source = lane % width + argument < width ? lane + argument : lane;
  if (kind == 3) source = (lane ^ argument) < segment + width ? lane ^ argument : lane;
  return 100 + source;
}

TEST(Emulator, ShufflesMatchProgrammingGuide) {
  for (const Stream& stream : streams_of_every_order())
    for (const int width : {1, 2, 8, 16, 32})
      for (const int argument : {0, 1, 3, 7, 16, 31}) {
        const DeviceBuffer<int> out(32 * 5);
        probe::shuffles(out.data(), argument, width, stream);
        const std::vector<int> results = to_host(out, stream);
        for (int lane = 0; lane < 32; ++lane) {
          for (int kind = 0; kind < 4; ++kind)
            ASSERT_EQ(results[5 * lane + kind], expected_shuffle(kind, lane, argument, width))
                << "kind " << kind << ", lane " << lane << ", argument " << argument << ", width " << width;
          ASSERT_EQ(static_cast<unsigned>(results[5 * lane + 4]), 0xAAAAAAAAu);
        }
      }
}

TEST(Emulator, ShuffleWidthMustBeAPowerOfTwo) {
  const Stream stream;
  const DeviceBuffer<int> out(32 * 5);
  EXPECT_THAT([&] { probe::shuffles(out.data(), 1, 12, stream); },
              ThrowsMessage<EmulatorError>(HasSubstr("has width 12, which must be a power of two")));
}

TEST(Emulator, Votes) {
  for (const Stream& stream : streams_of_every_order()) {
    const DeviceBuffer<unsigned> out(3);
    probe::votes(out.data(), 0, stream);
    EXPECT_EQ(to_host(out, stream), (std::vector<unsigned>{0, 0, 0}));
    probe::votes(out.data(), 5, stream);
    EXPECT_EQ(to_host(out, stream), (std::vector<unsigned>{1, 0, 0x1F}));
    probe::votes(out.data(), 32, stream);
    EXPECT_EQ(to_host(out, stream), (std::vector<unsigned>{1, 1, 0xFFFFFFFF}));
  }
}

std::vector<int> turns_of(const Stream& stream, int threads) {
  const DeviceBuffer<int> out(2 * static_cast<size_t>(threads));
  const DeviceBuffer<int> counter = to_device(std::vector<int>{0}, stream);
  probe::turns(out.data(), counter.data(), threads, stream);
  return to_host(out, stream);
}

TEST(Emulator, ThreadsTakeTurnsInTheChosenOrder) {
  constexpr int kThreads = 70;  // the last warp is not full
  std::vector<int> forward(2 * kThreads);
  std::iota(forward.begin(), forward.end(), 0);
  std::vector<int> reversed(forward);
  std::reverse(reversed.begin(), reversed.begin() + kThreads);
  std::reverse(reversed.begin() + kThreads, reversed.end());

  const auto streams = streams_of_every_order();
  EXPECT_EQ(turns_of(streams[0], kThreads), forward);
  EXPECT_EQ(turns_of(streams[1], kThreads), reversed);
  const std::vector<int> shuffled = turns_of(streams[2], kThreads);
  EXPECT_NE(shuffled, forward);
  EXPECT_NE(shuffled, turns_of(streams[3], kThreads)) << "another seed, another order";
  EXPECT_EQ(shuffled, turns_of(streams[2], kThreads)) << "the same seed, the same order";
  // No thread passes the barrier before all have reached it.
  EXPECT_LT(*std::max_element(shuffled.begin(), shuffled.begin() + kThreads), kThreads);
}

TEST(Emulator, BuiltInVariables) {
  const Stream stream;
  const Dim3 grid{3, 2, 2};
  const Dim3 block{5, 2, 3};
  const DeviceBuffer<unsigned> out(12 * 12 * 30);
  probe::built_ins(out.data(), grid, block, stream);
  const std::vector<unsigned> values = to_host(out, stream);
  size_t i = 0;
  for (unsigned bz = 0; bz < 2; ++bz)
    for (unsigned by = 0; by < 2; ++by)
      for (unsigned bx = 0; bx < 3; ++bx)
        for (unsigned tz = 0; tz < 3; ++tz)
          for (unsigned ty = 0; ty < 2; ++ty)
            for (unsigned tx = 0; tx < 5; ++tx, i += 12)
              ASSERT_EQ(std::vector<unsigned>(values.begin() + i, values.begin() + i + 12),
                        (std::vector<unsigned>{tx, ty, tz, bx, by, bz, 5, 2, 3, 3, 2, 2}));
}

TEST(Emulator, Atomics) {
  const Stream stream;
  const DeviceBuffer<int> values = to_device(std::vector<int>{1, 9, 9, 4, 4, 3}, stream);
  const DeviceBuffer<int> old(6);
  probe::atomics(values.data(), old.data(), stream);
  EXPECT_EQ(to_host(old, stream), (std::vector<int>{1, 9, 9, 4, 4, 3}));
  EXPECT_EQ(to_host(values, stream), (std::vector<int>{6, 9, 5, 5, 5, 3}));
}

TEST(Emulator, LaunchLimits) {
  const Stream stream;
  const auto launch_with = [&](Dim3 grid, Dim3 block, size_t shared_bytes = 0) {
    probe::nothing({.grid = grid, .block = block, .shared_bytes = shared_bytes, .stream = stream});
  };
  EXPECT_NO_THROW(launch_with({1, 1, 1}, {32, 32}, kMaxSharedBytes));
  EXPECT_THAT([&] { launch_with(1, 1025); }, ThrowsMessage<LaunchError>(HasSubstr("block.x is 1025")));
  EXPECT_THAT(
      [&] {
        launch_with(1, {33, 32});
      },
      ThrowsMessage<LaunchError>(HasSubstr("the number of threads in a block is 1056")));
  EXPECT_THAT([&] { launch_with(1, {1, 1, 65}); }, ThrowsMessage<LaunchError>(HasSubstr("block.z is 65")));
  EXPECT_THAT([&] { launch_with({1, 65536}, 1); }, ThrowsMessage<LaunchError>(HasSubstr("grid.y is 65536")));
  EXPECT_THAT(
      [&] {
        launch_with({1, 1, 65536}, 1);
      },
      ThrowsMessage<LaunchError>(HasSubstr("grid.z is 65536")));
  EXPECT_THAT([&] { launch_with(int64_t{1} << 31, 1); },
              ThrowsMessage<LaunchError>(HasSubstr("grid.x is 2147483648")));
  EXPECT_THAT([&] { launch_with(0, 1); }, ThrowsMessage<LaunchError>(HasSubstr("grid.x is 0")));
  EXPECT_THAT([&] { launch_with(1, 1, kMaxSharedBytes + 1); },
              ThrowsMessage<LaunchError>(HasSubstr("232449 bytes of dynamic shared memory")));
  EXPECT_THAT([&] { launch_with(0, 1); }, ThrowsMessage<LaunchError>(HasSubstr("emulator_test.cpp:")));
}

TEST(Emulator, DynamicSharedMemoryIsBoundedByLaunch) {
  const Stream stream;
  EXPECT_NO_THROW(probe::use_dynamic_shared(10, 0, 40, stream));
  EXPECT_NO_THROW(probe::use_dynamic_shared(6, 16, 40, stream));
  EXPECT_THAT([&] { probe::use_dynamic_shared(11, 0, 40, stream); },
              ThrowsMessage<EmulatorError>(
                  HasSubstr("bytes 0 to 44 of dynamic shared memory, but the launch provides 40")));
  EXPECT_THAT([&] { probe::use_dynamic_shared(7, 16, 40, stream); },
              ThrowsMessage<EmulatorError>(HasSubstr("bytes 16 to 44")));
  EXPECT_THAT(
      [&] { probe::use_dynamic_shared(2, 6, 40, stream); },
      ThrowsMessage<EmulatorError>(HasSubstr("starts at byte 6, but its elements need an alignment of 4")));
}

TEST(Emulator, KernelHasOneSharedStruct) {
  const Stream stream;
  EXPECT_THAT([&] { probe::use_two_shared_structs(stream); },
              ThrowsMessage<EmulatorError>(HasSubstr("two structs of shared memory")));
}

TEST(Emulator, SyncwarpOfHalvesAndWhole) {
  for (const Stream& stream : streams_of_every_order()) {
    const DeviceBuffer<int> out(32);
    probe::nested_syncwarps(out.data(), stream);
    const std::vector<int> values = to_host(out, stream);
    for (int i = 0; i < 32; ++i) ASSERT_EQ(values[i], 2 * (31 - i));
  }
}

}  // namespace
}  // namespace ddpm
