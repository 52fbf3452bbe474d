// What emulated kernels call: the functions behind CUDA's intrinsics and the device layer. Values travel as
// 64-bit integers in registers, so that no memory is touched that a sanitizer could attribute to the kernel.
#pragma once

#include <cstddef>
#include <cstdint>

#include "device/emulator/emulator.h"
#include "device/launch_config.h"

namespace ddpm::emulator {

// A kernel bound to its arguments, as one thread runs it. Does not own the callable.
class KernelBody {
 public:
  template <typename Callable>
  explicit KernelBody(const Callable& callable)
      : object_(&callable), call_([](const void* object) { (*static_cast<const Callable*>(object))(); }) {}
  void operator()() const { call_(object_); }

 private:
  const void* object_;
  void (*call_)(const void*);
};

// Runs all blocks of the launch, one after another. Throws EmulatorError.
void run(const LaunchConfig& config, KernelBody body);

enum class WarpOperation { kSync, kShuffle, kShuffleUp, kShuffleDown, kShuffleXor, kBallot, kAny, kAll };

void block_barrier(CallSite site);
// All lanes of `mask` call it with the same operation from the same site; each gets its result. `argument` is
// the shuffle's lane, distance or lane mask, `width` the size of its segments.
uint64_t warp_operation(WarpOperation operation, unsigned mask, uint64_t operand, int argument, int width,
                        CallSite site);
// Orders the calling thread's memory accesses after those that precede fences passed by other threads.
void memory_fence();

// Identifies T among the structs in shared memory.
template <typename T>
const void* type_tag() {
  static constexpr char kTag = 0;
  return &kTag;
}
void* static_shared(const void* type, size_t bytes, size_t alignment);
void* dynamic_shared(size_t offset, size_t bytes, size_t alignment);

[[noreturn]] void report_misaligned(const void* address, size_t alignment);
inline void check_alignment(const void* address, size_t alignment) {
  if (reinterpret_cast<uintptr_t>(address) % alignment != 0) report_misaligned(address, alignment);
}

}  // namespace ddpm::emulator
