// The control flow of one emulated thread: a function that runs on its own stack and can be suspended.
#pragma once

#include <boost/context/detail/fcontext.hpp>

#include "device/emulator/stack_pool.h"

namespace ddpm::emulator {

class Fiber {
 public:
  using Function = void (*)(void* argument);

  // Prepares function(argument) on `stack`; it starts at the first resume().
  void start(Stack* stack, Function function, void* argument);
  // Called by the scheduler; returns when the fiber suspends or its function returns.
  void resume();
  // Called on the fiber; returns at the next resume().
  void suspend();

  Stack* stack() const { return stack_; }

 private:
  static void enter(boost::context::detail::transfer_t transfer);
  void switch_to_caller(bool for_good);

  Stack* stack_;
  Function function_;
  void* argument_;
  boost::context::detail::fcontext_t context_;
  boost::context::detail::fcontext_t caller_;
  // State for the sanitizers at each switch.
  void* asan_fake_stack_;
  const void* asan_caller_bottom_;
  size_t asan_caller_size_;
  [[maybe_unused]] void* tsan_caller_;
};

}  // namespace ddpm::emulator
