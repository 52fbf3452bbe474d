#include "support/process_age.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace ddpm {
namespace {

// Accurate to 0.01 s. The sleep may take longer than requested, so the upper bound is measured.
TEST(ProcessAge, GrowsWithTheClock) {
  const auto begin = std::chrono::steady_clock::now();
  const double before = process_age_seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const double after = process_age_seconds();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  EXPECT_GE(before, 0);
  EXPECT_GE(after - before, 0.05 - 1e-6);
  EXPECT_LE(after - before, seconds + 1e-6);
}

// A test program is young; if the age were counted from boot, this would be the machine's uptime.
TEST(ProcessAge, MeasuresThisProcess) { EXPECT_LT(process_age_seconds(), 300); }

}  // namespace
}  // namespace ddpm
