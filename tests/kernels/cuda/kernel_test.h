// Helpers for tests of the GPU kernels: guarded device arrays, and runs in every thread order.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "device/bfloat16.h"
#include "tests/device/device_memory.h"
#include "tests/kernels/reference/tensors.h"

namespace ddpm {

// Half the spacing of numbers in [1, 2), relative to them.
template <typename T>
constexpr double unit_roundoff() {
  return sizeof(T) == 2 ? 0x1p-8 : 0x1p-24;
}

// The input of a kernel with storage type T: `values` rounded to T. The reference gets the
// same through widened().
template <typename T>
std::vector<T> rounded(const std::vector<double>& values) {
  std::vector<T> result;
  for (const double value : values) result.push_back(from_float<T>(static_cast<float>(value)));
  return result;
}

// Exact.
template <typename T>
std::vector<double> widened(const std::vector<T>& values) {
  std::vector<double> result;
  for (const T value : values) result.push_back(to_float(value));
  return result;
}

// An array in device memory between two guards, filled with NaN (0xFF) until written. values() fails the test
// if a guard was overwritten. With AddressSanitizer, its own guards start at the array's last byte.
template <typename T>
class Guarded {
 public:
  Guarded(int64_t count, StreamView stream) : buffer_(static_cast<size_t>(count) + 2 * kGuard) {
    fill_bytes(buffer_.span(), 0xFF, stream);
  }
  Guarded(const std::vector<T>& values, StreamView stream)
      : Guarded(static_cast<int64_t>(values.size()), stream) {
    copy_to_device<T>(values, inside(), stream);
  }

  T* data() const { return inside().data(); }

  std::vector<T> values(StreamView stream) const {
    const std::vector<T> all = to_host(buffer_, stream);
    const auto* bytes = reinterpret_cast<const unsigned char*>(all.data());
    for (size_t i = 0; i < kGuard * sizeof(T); ++i) {
      EXPECT_EQ(bytes[i], 0xFF) << "written before the array";
      EXPECT_EQ(bytes[all.size() * sizeof(T) - 1 - i], 0xFF) << "written after the array";
    }
    return {all.begin() + kGuard, all.end() - kGuard};
  }

 private:
#ifdef __SANITIZE_ADDRESS__
  static constexpr size_t kGuard = 0;
#else
  static constexpr size_t kGuard = 256 / sizeof(T);  // keeps the alignment of cudaMalloc
#endif
  DeviceSpan<T> inside() const { return buffer_.span().subspan(kGuard, buffer_.size() - 2 * kGuard); }

  DeviceBuffer<T> buffer_;
};

// run(stream) returns what the kernel wrote, which must have the same bits on every stream. NaN, and so an
// unwritten element, equals nothing.
template <typename Run>
auto same_in_every_order(Run run) {
  const std::vector<Stream> streams = streams_of_every_order();
  const auto first = run(streams.front().view());
  for (size_t i = 1; i < streams.size(); ++i)
    EXPECT_TRUE(run(streams[i].view()) == first) << "different bits in another thread order, or NaN";
  return first;
}

using reference::expect_within;

// The two storage types of activations.
using StorageTypes = testing::Types<float, BFloat16>;

}  // namespace ddpm
