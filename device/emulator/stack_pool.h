// The stacks that emulated threads run on.
#pragma once

#include <cstddef>
#include <vector>

namespace ddpm::emulator {

// 64 KB of memory (256 KB under a sanitizer) above a page that nobody may touch, so that an overflow stops
// the program.
struct Stack {
  std::byte* bottom;
  size_t size;
  void* tsan_fiber;  // who runs on it, for ThreadSanitizer; otherwise null
};

// Owns stacks and keeps them from launch to launch.
class StackPool {
 public:
  StackPool() = default;
  ~StackPool() { clear(); }
  StackPool(const StackPool&) = delete;
  StackPool& operator=(const StackPool&) = delete;

  // A stack for a thread that starts. Most recently returned first: a thread that never blocks leaves its
  // stack, still in the cache, to the next. Under ThreadSanitizer a stack belongs to one thread of the block
  // instead, as an identity shared by two would hide their races; two consecutive blocks use two sets, so
  // that races between blocks show as well.
  Stack* take(size_t thread, size_t block);
  // Of a thread that has exited.
  void give_back(Stack* stack) noexcept;
  // Unmaps all stacks; they may hold threads that will not go on.
  void clear() noexcept;

 private:
  Stack* make();

  std::vector<Stack*> all_;
  std::vector<Stack*> free_;
  std::vector<Stack*> of_thread_[2];
};

}  // namespace ddpm::emulator
