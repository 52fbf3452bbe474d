#include "device/emulator/fiber.h"

#include "device/emulator/sanitizers.h"

namespace ddpm::emulator {
namespace {

using boost::context::detail::jump_fcontext;
using boost::context::detail::make_fcontext;
using boost::context::detail::transfer_t;

// AddressSanitizer must know which stack the program runs on. `keep` receives its bookkeeping for the stack
// being left, or is null if that stack is left for good.
void announce_stack([[maybe_unused]] void** keep, [[maybe_unused]] const void* bottom,
                    [[maybe_unused]] size_t size) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(keep, bottom, size);
#endif
}

void finish_switch([[maybe_unused]] void* kept, [[maybe_unused]] const void** old_bottom,
                   [[maybe_unused]] size_t* old_size) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(kept, old_bottom, old_size);
#endif
}

}  // namespace

void Fiber::start(Stack* stack, Function function, void* argument) {
  stack_ = stack;
  function_ = function;
  argument_ = argument;
  asan_fake_stack_ = nullptr;
  context_ = make_fcontext(stack->bottom + stack->size, stack->size, &Fiber::enter);
}

void Fiber::resume() {
  void* fake_stack = nullptr;
  announce_stack(&fake_stack, stack_->bottom, stack_->size);
#if defined(DDPM_EMULATOR_TSAN)
  tsan_caller_ = __tsan_get_current_fiber();
  // A switch implies no ordering: only barriers order two CUDA threads.
  __tsan_switch_to_fiber(stack_->tsan_fiber, __tsan_switch_to_fiber_no_sync);
#endif
  context_ = jump_fcontext(context_, this).fctx;
  finish_switch(fake_stack, nullptr, nullptr);
}

void Fiber::switch_to_caller(bool for_good) {
  announce_stack(for_good ? nullptr : &asan_fake_stack_, asan_caller_bottom_, asan_caller_size_);
#if defined(DDPM_EMULATOR_TSAN)
  __tsan_switch_to_fiber(tsan_caller_, __tsan_switch_to_fiber_no_sync);
#endif
  caller_ = jump_fcontext(caller_, nullptr).fctx;
  finish_switch(asan_fake_stack_, &asan_caller_bottom_, &asan_caller_size_);
}

void Fiber::suspend() { switch_to_caller(false); }

void Fiber::enter(transfer_t transfer) {
  Fiber& fiber = *static_cast<Fiber*>(transfer.data);
  finish_switch(nullptr, &fiber.asan_caller_bottom_, &fiber.asan_caller_size_);
  fiber.caller_ = transfer.fctx;
  fiber.function_(fiber.argument_);
  fiber.switch_to_caller(true);
}

}  // namespace ddpm::emulator
