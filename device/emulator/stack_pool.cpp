#include "device/emulator/stack_pool.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "device/emulator/sanitizers.h"

namespace ddpm::emulator {
namespace {

// Sanitizers enlarge stack frames and write their reports on the stack of the faulty thread.
constexpr size_t kStackBytes = (kAddressSanitizer || kThreadSanitizer ? 256 : 64) * size_t{1024};

size_t page_bytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

}  // namespace

Stack* StackPool::make() {
  const size_t guard = page_bytes();
  void* base = mmap(nullptr, guard + kStackBytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (base == MAP_FAILED || mprotect(base, guard, PROT_NONE) != 0)
    throw std::system_error(errno, std::generic_category(),
                            "cannot allocate the stack of an emulated thread");
  void* fiber = nullptr;
#if defined(DDPM_EMULATOR_TSAN)
  fiber = __tsan_create_fiber(0);
#endif
  all_.push_back(new Stack{static_cast<std::byte*>(base) + guard, kStackBytes, fiber});
  free_.reserve(all_.size());  // so that give_back cannot throw
  return all_.back();
}

Stack* StackPool::take(size_t thread, size_t block) {
  if constexpr (kThreadSanitizer) {
    std::vector<Stack*>& stacks = of_thread_[block % 2];
    if (stacks.size() <= thread) stacks.resize(thread + 1);
    if (stacks[thread] == nullptr) stacks[thread] = make();
    return stacks[thread];
  }
  if (free_.empty()) return make();
  Stack* stack = free_.back();
  free_.pop_back();
  return stack;
}

void StackPool::give_back(Stack* stack) noexcept {
  if constexpr (!kThreadSanitizer) free_.push_back(stack);
}

void StackPool::clear() noexcept {
  for (Stack* stack : all_) {
    allow_access(stack->bottom, stack->size);
    munmap(stack->bottom - page_bytes(), stack->size + page_bytes());
#if defined(DDPM_EMULATOR_TSAN)
    __tsan_destroy_fiber(stack->tsan_fiber);
#endif
    delete stack;
  }
  all_.clear();
  free_.clear();
  for (std::vector<Stack*>& stacks : of_thread_) stacks.clear();
}

}  // namespace ddpm::emulator
