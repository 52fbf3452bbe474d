// The timer of plans, with the emulator's events.
#include "runtime/library/cold_timer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace ddpm {
namespace {

TEST(ColdTimer, TimesOneRunOfTheWorkWithoutTheFlush) {
  using namespace std::chrono_literals;
  const Stream stream;
  // A cache whose flush takes the emulator far longer than the work: 4 MB, read by one thread per 16 bytes.
  ColdTimer timer(stream, size_t{2} << 20);
  int runs = 0;
  const auto work = [&] {
    ++runs;
    std::this_thread::sleep_for(2ms);
  };
  const auto begin = std::chrono::steady_clock::now();
  const double seconds = timer.seconds(work);
  const double with_flush = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  EXPECT_EQ(runs, 1);
  EXPECT_GE(seconds, 2e-3);
  EXPECT_LT(seconds, with_flush);
}

TEST(ColdTimer, WorksWithoutACache) {
  const Stream stream;
  ColdTimer timer(stream, 0);
  EXPECT_GE(timer.seconds([] {}), 0);
}

}  // namespace
}  // namespace ddpm
