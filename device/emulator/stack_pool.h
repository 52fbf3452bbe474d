// Stacks for emulated threads.
#pragma once

#include <cstddef>
#include <vector>

namespace ddpm::emulator {

// 64 KB of memory (256 KB under a sanitizer) above an inaccessible page, so that an overflow
// stops the program.
struct Stack {
  std::byte* bottom;
  size_t size;
  void* tsan_fiber;  // the fiber that runs on it, for ThreadSanitizer; otherwise null
};

// Owns stacks and reuses them across launches.
class StackPool {
 public:
  StackPool() = default;
  ~StackPool() { clear(); }
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;

  // A stack for a new thread, most recently returned first: a thread that never blocks leaves its stack,
  // still in the cache, to the next. Under ThreadSanitizer a stack instead belongs to one thread of the
  // block, as a shared identity would hide races between two threads; consecutive blocks use two sets, so
  // that races between blocks show as well.
  Stack* take(size_t thread, size_t block);
  // Returns the stack of a thread that has exited.
  void give_back(Stack* stack) noexcept;
  // Unmaps all stacks, including those of abandoned threads.
  void clear() noexcept;

 private:
  Stack* make();

  std::vector<Stack*> all_;
  std::vector<Stack*> free_;
  std::vector<Stack*> of_thread_[2];
};

}  // namespace ddpm::emulator
