// Prefetching each step's bytes on a background thread, in the emulator and on a GPU.
#include "runtime/gpu/prefetcher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <stdexcept>
#include <vector>

namespace ddpm {
namespace {

constexpr size_t kBytes = 1000;
constexpr int kAhead = 4;  // steps that are read ahead

// Bytes that identify their step.
void fill_with_step(int64_t step, std::span<uint8_t> bytes) {
  std::fill(bytes.begin(), bytes.end(), static_cast<uint8_t>(step));
}

std::vector<uint8_t> next(Prefetcher& bytes, const DeviceBuffer<uint8_t>& target, StreamView stream) {
  bytes.copy_next(stream);
  std::vector<uint8_t> values(target.size());
  copy_to_host<uint8_t>(target.span(), values, stream);
  stream.synchronize();
  return values;
}

TEST(Prefetcher, DeliversEachStepsBytes) {
  const Stream stream;
  const DeviceBuffer<uint8_t> target(kBytes);
  Prefetcher bytes(target.span(), 250, fill_with_step);
  for (int64_t step = 250; step < 270; ++step)  // several times around the ring
    EXPECT_EQ(next(bytes, target, stream), std::vector<uint8_t>(kBytes, static_cast<uint8_t>(step)));
}

TEST(Prefetcher, ReadsAtMostAFewStepsAhead) {
  const Stream stream;
  const DeviceBuffer<uint8_t> target(kBytes);
  std::atomic<int64_t> last = -1;
  {
    Prefetcher bytes(target.span(), 0, [&](int64_t step, std::span<uint8_t> to) {
      fill_with_step(step, to);
      last = step;
    });
    for (int i = 0; i < 10; ++i) {
      next(bytes, target, stream);
      EXPECT_LE(last, i + kAhead);
    }
  }  // the destructor does not wait for unread bytes
  EXPECT_GE(last, 9);
}

TEST(Prefetcher, RethrowsReaderErrorsAtTheirStep) {
  const Stream stream;
  const DeviceBuffer<uint8_t> target(kBytes);
  Prefetcher bytes(target.span(), 0, [](int64_t step, std::span<uint8_t> to) {
    if (step == 2) throw std::runtime_error("the file is gone");
    fill_with_step(step, to);
  });
  next(bytes, target, stream);
  next(bytes, target, stream);
  EXPECT_THROW(bytes.copy_next(stream), std::runtime_error);
  EXPECT_THROW(bytes.copy_next(stream), std::runtime_error) << "and at every later call";
}

}  // namespace
}  // namespace ddpm
