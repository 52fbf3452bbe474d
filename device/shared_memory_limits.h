// How much dynamic shared memory each kernel may ask for. CUDA grants 48 KB and more only to kernels whose
// limit was raised. The limit belongs to the kernel and not to its launches, so it must never sink: a
// graph may hold a larger launch than the last one.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

namespace ddpm {

// The limits that a process has raised so far. Any number of threads may use it.
class SharedMemoryLimits {
 public:
  // The kernel's limit on the device in bytes. Where none is known that covers `bytes`, raise() sets it to
  // the most that the kernel can have there, and returns that; if it throws, nothing is known as before.
  size_t at_least(size_t bytes, const void* kernel, int device, const std::function<size_t()>& raise);

 private:
  std::mutex mutex_;
  std::map<std::pair<const void*, int>, size_t> limits_;
};

}  // namespace ddpm
