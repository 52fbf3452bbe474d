// Limits of dynamic shared memory per kernel. CUDA grants 48 KB or more only to kernels whose limit was
// raised. The limit belongs to the kernel, not to its launches, and must never drop: a graph may hold a
// larger launch than the latest one.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

namespace ddpm {

// The limits raised so far in this process. Thread-safe.
class SharedMemoryLimits {
 public:
  // The kernel's limit on the device, in bytes. If no known limit covers `bytes`, calls raise(), which sets
  // the limit to the most that the kernel can have there and returns it; if raise() throws, nothing changes.
  size_t at_least(size_t bytes, const void* kernel, int device, const std::function<size_t()>& raise);

 private:
  std::mutex mutex_;
  std::map<std::pair<const void*, int>, size_t> limits_;
};

}  // namespace ddpm
