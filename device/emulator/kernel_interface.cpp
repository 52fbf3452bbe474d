#include "device/emulator/kernel_interface.h"

#include "device/emulator/sanitizers.h"
#include "device/emulator/scheduler.h"
#include "support/error.h"

namespace ddpm::emulator {
namespace {

Thread& this_thread() { return *static_cast<Thread*>(current_thread); }

}  // namespace

void run(const LaunchConfig& config, KernelBody body) {
  // A cache per host thread, whatever the stream: a stack known to ThreadSanitizer takes 0.6 ms to make.
  thread_local StackPool stacks;
  try {
    Scheduler(state_of(config.stream), stacks, config, body).run();
  } catch (const EmulatorError& error) {
    // Abandons the kernel's other threads where they wait, together with their stacks.
    stacks.clear();
    throw EmulatorError(fmt::format("{}; kernel launched at {}", error.what(), to_string(config.site)));
  }
}

void block_barrier(CallSite site) {
  Thread& thread = this_thread();
  thread.scheduler->block_barrier(thread, site);
}

uint64_t warp_operation(WarpOperation operation, unsigned mask, uint64_t operand, int argument, int width,
                        CallSite site) {
  Thread& thread = this_thread();
  return thread.scheduler->warp_operation(
      thread, make_request(thread, operation, mask, operand, argument, width, site), site);
}

void memory_fence() {
  void* tag = this_thread().scheduler->memory_fence_tag();
  acquire(tag);
  release(tag);
}

void* static_shared(const void* type, size_t bytes, size_t alignment) {
  return this_thread().scheduler->shared_memory().static_region(type, bytes, alignment);
}

void* dynamic_shared(size_t offset, size_t bytes, size_t alignment) {
  return this_thread().scheduler->shared_memory().dynamic_region(offset, bytes, alignment);
}

void report_misaligned(const void* address, size_t alignment) {
  throw EmulatorError(fmt::format(
      "a load or store of {} bytes uses address {}, which is not aligned to its size", alignment, address));
}

}  // namespace ddpm::emulator
