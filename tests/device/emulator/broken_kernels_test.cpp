// Each planted bug is caught by the builds listed in docs/emulator.md. Sanitizers end the program, so bugs
// that they catch run in a child process; a build that cannot see a bug skips its test.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <string>

#include "tests/device/device_memory.h"
#include "tests/device/emulator/broken/kernels.h"

namespace ddpm {
namespace {

using emulator::EmulatorError;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kAddressSanitizer = true;  // the build with it also has UndefinedBehaviorSanitizer
#else
constexpr bool kAddressSanitizer = false;
#endif
#if defined(__SANITIZE_THREAD__)
constexpr bool kThreadSanitizer = true;
#else
constexpr bool kThreadSanitizer = false;
#endif

class BrokenKernels : public testing::Test {
 protected:
  // Starts children from scratch instead of forking: sanitizers have threads of their own.
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }

  Stream stream_;
  DeviceBuffer<int> in_{64};
  DeviceBuffer<int> out_{64};
};

// Runs `kernel` in every order and returns how many of the results differ from the first.
int count_deviating_orders(const std::function<void(const int*, int*, StreamView)>& kernel) {
  std::vector<int> values(64);
  std::iota(values.begin(), values.end(), 0);
  std::vector<std::vector<int>> results;
  for (const Stream& stream : streams_of_every_order()) {
    const DeviceBuffer<int> in = to_device(values, stream);
    const DeviceBuffer<int> out(values.size());
    kernel(in.data(), out.data(), stream);
    results.push_back(to_host(out, stream));
  }
  return static_cast<int>(results.size() -
                          static_cast<size_t>(std::count(results.begin(), results.end(), results[0])));
}

TEST_F(BrokenKernels, MissingBarrier) {
  if constexpr (kThreadSanitizer) {
    EXPECT_DEATH(broken::missing_barrier(in_.data(), out_.data(), stream_), "data race(.|\n)*barriers\\.cu");
  } else {
    EXPECT_GT(count_deviating_orders(broken::missing_barrier), 0);
  }
}

TEST_F(BrokenKernels, MissingSyncwarp) {
  if constexpr (kThreadSanitizer) {
    EXPECT_DEATH(broken::missing_syncwarp(in_.data(), out_.data(), stream_), "data race(.|\n)*barriers\\.cu");
  } else {
    EXPECT_GT(count_deviating_orders(broken::missing_syncwarp), 0);
  }
}

TEST_F(BrokenKernels, RacingAddInBlock) {
  if constexpr (!kThreadSanitizer)
    GTEST_SKIP() << "emulated threads take turns: only ThreadSanitizer sees a race";
  EXPECT_DEATH(broken::racing_add_in_block(out_.data(), stream_), "data race(.|\n)*races\\.cu");
}

TEST_F(BrokenKernels, RacingAddBetweenBlocks) {
  if constexpr (!kThreadSanitizer)
    GTEST_SKIP() << "emulated blocks take turns: only ThreadSanitizer sees a race";
  EXPECT_DEATH(broken::racing_add_between_blocks(out_.data(), stream_), "data race(.|\n)*races\\.cu");
}

TEST_F(BrokenKernels, GlobalReadPastEnd) {
  if constexpr (!kAddressSanitizer) GTEST_SKIP() << "only AddressSanitizer watches the ends of global memory";
  const DeviceBuffer<int> in(40);
  EXPECT_DEATH(broken::global_read_past_end(in.data(), out_.data(), 40, stream_),
               "heap-buffer-overflow(.|\n)*READ of size 4(.|\n)*bounds\\.cu");
}

TEST_F(BrokenKernels, GlobalWritePastEnd) {
  if constexpr (!kAddressSanitizer) GTEST_SKIP() << "only AddressSanitizer watches the ends of global memory";
  const DeviceBuffer<int> out(40);
  EXPECT_DEATH(broken::global_write_past_end(out.data(), 40, stream_),
               "heap-buffer-overflow(.|\n)*WRITE of size 4(.|\n)*bounds\\.cu");
}

TEST_F(BrokenKernels, SharedReadPastEnd) {
  if constexpr (!kAddressSanitizer)
    GTEST_SKIP() << "only AddressSanitizer sees reads past the end of shared memory";
  EXPECT_DEATH(broken::static_shared_read_past_end(out_.data(), stream_),
               "use-after-poison(.|\n)*READ(.|\n)*bounds");
  EXPECT_DEATH(broken::dynamic_shared_read_past_end(out_.data(), stream_),
               "use-after-poison(.|\n)*READ(.|\n)*bounds");
}

TEST_F(BrokenKernels, SharedWritePastEnd) {
  if constexpr (kAddressSanitizer) {
    EXPECT_DEATH(broken::static_shared_write_past_end(out_.data(), stream_),
                 "use-after-poison(.|\n)*WRITE(.|\n)*bounds");
    EXPECT_DEATH(broken::dynamic_shared_write_past_end(out_.data(), stream_),
                 "use-after-poison(.|\n)*WRITE(.|\n)*bounds");
  } else {
    EXPECT_THAT([&] { broken::static_shared_write_past_end(out_.data(), stream_); },
                ThrowsMessage<EmulatorError>(
                    AllOf(HasSubstr("outside its static shared memory"), HasSubstr("bounds.cu"))));
    EXPECT_THAT([&] { broken::dynamic_shared_write_past_end(out_.data(), stream_); },
                ThrowsMessage<EmulatorError>(
                    AllOf(HasSubstr("outside its dynamic shared memory"), HasSubstr("bounds.cu"))));
  }
}

TEST_F(BrokenKernels, MisalignedPackedLoad) {
  const DeviceBuffer<float> floats(64);
  EXPECT_THAT([&] { broken::misaligned_packed_load(floats.data(), floats.data() + 32, stream_); },
              ThrowsMessage<EmulatorError>(AllOf(HasSubstr("not aligned"), HasSubstr("loads.cu"))));
}

TEST_F(BrokenKernels, MisalignedCastLoad) {
  if constexpr (!kAddressSanitizer)
    GTEST_SKIP() << "only UndefinedBehaviorSanitizer checks the alignment of a cast";
  const DeviceBuffer<float> floats(64);
  EXPECT_DEATH(broken::misaligned_cast_load(floats.data(), floats.data() + 32, stream_),
               "loads\\.cu.*misaligned address");
}

TEST_F(BrokenKernels, UninitializedSharedShowsAsNan) {
  const DeviceBuffer<float> out(1);
  broken::uninitialized_shared(out.data(), stream_);
  EXPECT_TRUE(std::isnan(to_host(out, stream_)[0]));
}

// Rules that the emulator itself checks, in every build and order. The report names the line.
struct Violation {
  const char* name;
  void (*kernel)(int* out, StreamView stream);
  std::vector<std::string> report;
};

void PrintTo(const Violation& violation, std::ostream* out) { *out << violation.name; }

class BrokenRules : public testing::TestWithParam<Violation> {};

TEST_P(BrokenRules, AreReportedInEveryOrder) {
  for (const Stream& stream : streams_of_every_order()) {
    const DeviceBuffer<int> out(64);
    try {
      GetParam().kernel(out.data(), stream);
      ADD_FAILURE() << "nothing was reported";
    } catch (const EmulatorError& error) {
      for (const std::string& part : GetParam().report) EXPECT_THAT(error.what(), HasSubstr(part));
      EXPECT_THAT(error.what(),
                  testing::ContainsRegex("\\.cu:[0-9]+: __.*; kernel launched at .*\\.cu:[0-9]+"));
    }
    // The stream is usable after a failure.
    EXPECT_THROW(GetParam().kernel(out.data(), stream), EmulatorError);
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, BrokenRules,
    testing::Values(
        Violation{
            "DivergentBarrier", broken::divergent_barrier, {"barriers.cu:", "__syncthreads is divergent"}},
        Violation{"BarrierAgainstShuffle",
                  broken::barrier_against_shuffle,
                  {"barriers.cu:", "__shfl_xor_sync", "waits for lane 3, which waits in __syncthreads at"}},
        Violation{"ExitedShuffleLane",
                  broken::exited_shuffle_lane,
                  {"__shfl_xor_sync", "waits for lane 5, which has exited"}},
        Violation{"NonexistentShuffleLane",
                  broken::nonexistent_shuffle_lane,
                  {"__shfl_down_sync", "waits for lane 24, which the block does not have"}},
        Violation{"DivergentShuffle",
                  broken::divergent_shuffle,
                  {"__shfl_xor_sync", "waits for lane 16, which waits in __syncthreads at"}},
        Violation{"ShuffleOutsideMask",
                  broken::shuffle_outside_mask,
                  {"__shfl_sync", "which is not in its mask 0x0000ffff"}},
        Violation{"ShuffleFromOutsideMask",
                  broken::shuffle_from_outside_mask,
                  {"__shfl_sync", "reads from lane 20, which is not in its mask"}},
        Violation{
            "ShuffleWithTwoMasks", broken::shuffle_with_two_masks, {"__shfl_xor_sync", "misses a lane"}}),
    [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
}  // namespace ddpm

#if defined(__SANITIZE_THREAD__)
// By default ThreadSanitizer continues after a report; the child processes above must stop there.
// NOLINTNEXTLINE(bugprone-reserved-identifier): ThreadSanitizer chose the name
extern "C" const char* __tsan_default_options() { return "halt_on_error=1"; }
#endif
