// Limits of dynamic shared memory are raised and never lowered; a fake driver records what was set.
#include "device/shared_memory_limits.h"

#include <gtest/gtest.h>

#include <map>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace ddpm {
namespace {

// Kernels are identified by address only.
constexpr char kKernels[2] = {};

class SharedMemoryLimitsTest : public testing::Test {
 protected:
  // Asks like launch(), on a device that has `most` bytes for the kernel.
  size_t ask(size_t bytes, const void* kernel, int device = 0, size_t most = 1000) {
    return limits_.at_least(bytes, kernel, device, [&, kernel, device, most] {
      set_[{kernel, device}].push_back(most);
      return most;
    });
  }

  SharedMemoryLimits limits_;
  std::map<std::pair<const void*, int>, std::vector<size_t>> set_;  // what the driver was given, in order
};

TEST_F(SharedMemoryLimitsTest, AreSetOnce) {
  for (const size_t bytes : {800, 100, 1000, 1}) EXPECT_EQ(ask(bytes, &kKernels[0]), 1000U);
  EXPECT_EQ((set_[{&kKernels[0], 0}]), std::vector<size_t>{1000});
}

TEST_F(SharedMemoryLimitsTest, ArePerKernelAndDevice) {
  ask(10, &kKernels[0], 0);
  ask(10, &kKernels[1], 0, 900);
  ask(10, &kKernels[0], 1, 800);
  EXPECT_EQ(ask(10, &kKernels[0], 0), 1000U);
  EXPECT_EQ(ask(10, &kKernels[1], 0), 900U);
  EXPECT_EQ(ask(10, &kKernels[0], 1), 800U);
  EXPECT_EQ(set_.size(), 3U);
  for (const auto& [kernel, values] : set_) EXPECT_EQ(values.size(), 1U);
}

TEST_F(SharedMemoryLimitsTest, NeverDrop) {
  EXPECT_EQ(ask(700, &kKernels[0], 0, 700), 700U);
  EXPECT_EQ(ask(900, &kKernels[0], 0, 600), 700U) << "a later, smaller result does not lower it";
  EXPECT_EQ(ask(900, &kKernels[0], 0, 950), 950U);
  EXPECT_EQ(ask(700, &kKernels[0], 0, 100), 950U) << "known: no call of the driver";
  EXPECT_EQ((set_[{&kKernels[0], 0}]), (std::vector<size_t>{700, 600, 950}));
}

TEST_F(SharedMemoryLimitsTest, AreUnknownAfterFailure) {
  EXPECT_THROW(limits_.at_least(10, &kKernels[0], 0,
                                []() -> size_t { throw std::runtime_error("the driver refuses"); }),
               std::runtime_error);
  EXPECT_EQ(ask(10, &kKernels[0]), 1000U);
  EXPECT_EQ((set_[{&kKernels[0], 0}]), std::vector<size_t>{1000});
}

TEST_F(SharedMemoryLimitsTest, AreSetOnceByConcurrentThreads) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([this, i] { ask(static_cast<size_t>(100 * (8 - i)), &kKernels[i % 2]); });
  for (std::thread& thread : threads) thread.join();
  for (const char& kernel : kKernels) EXPECT_EQ((set_[{&kernel, 0}]), std::vector<size_t>{1000});
}

}  // namespace
}  // namespace ddpm
