// The configuration of a kernel launch and its limits.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

#include "device/call_site.h"
#include "device/stream.h"
#include "support/error_types.h"

namespace ddpm {

// Extent of a grid in blocks, or of a block in threads. 64-bit, so that launch() sees an extent that is too
// large instead of its truncation to 32 bits.
struct Dim3 {
  int64_t x = 1;
  int64_t y = 1;
  int64_t z = 1;

  template <std::integral X, std::integral Y = int, std::integral Z = int>
  // NOLINTNEXTLINE(google-explicit-constructor): for `.grid = blocks` and `.grid = {x, y}`
  constexpr Dim3(X width, Y height = 1, Z depth = 1)
      : x(static_cast<int64_t>(width)), y(static_cast<int64_t>(height)), z(static_cast<int64_t>(depth)) {}
};

struct LaunchConfig {
  Dim3 grid;
  Dim3 block;
  size_t shared_bytes = 0;  // of dynamic_shared; launch() raises the kernel's limit
  StreamView stream;
  CallSite site = CallSite::current();  // names the launch in errors
};

// The launch exceeds what GPUs of compute capability 8.0 to 9.0 support.
class LaunchError : public Error {
 public:
  using Error::Error;
};

inline constexpr int kMaxThreadsPerBlock = 1024;
inline constexpr size_t kMaxSharedBytes = 227 * 1024;  // compute capability 9.0; 8.0 rejects more than 163 KB

// Throws LaunchError unless
//   1 <= block <= (1024, 1024, 64) with at most 1024 threads, 1 <= grid <= (2^31 - 1, 65535, 65535) and
//   shared_bytes <= 227 KB.
void check_launch_limits(const LaunchConfig& config);

// Number of blocks of `size` that cover `count`.
template <std::integral T, std::integral U>
constexpr int64_t ceil_div(T count, U size) {
  return (static_cast<int64_t>(count) + static_cast<int64_t>(size) - 1) / static_cast<int64_t>(size);
}

}  // namespace ddpm
