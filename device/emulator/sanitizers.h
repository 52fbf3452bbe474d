// Annotations for the sanitizers of this build; no-ops in a plain build.
#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
// The emulator itself is compiled without ThreadSanitizer, so its macro does not tell whether
// the kernels are.
#if defined(DDPM_EMULATOR_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

namespace ddpm::emulator {

#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kAddressSanitizer = true;
inline void forbid_access(const void* start, size_t bytes) { __asan_poison_memory_region(start, bytes); }
inline void allow_access(const void* start, size_t bytes) { __asan_unpoison_memory_region(start, bytes); }
#else
inline constexpr bool kAddressSanitizer = false;
inline void forbid_access(const void*, size_t) {}
inline void allow_access(const void*, size_t) {}
#endif

#if defined(DDPM_EMULATOR_TSAN)
inline constexpr bool kThreadSanitizer = true;
// Everything before release(tag) happens before everything after acquire(tag).
inline void acquire(void* tag) { __tsan_acquire(tag); }
inline void release(void* tag) { __tsan_release(tag); }
// The same on behalf of a suspended fiber.
inline void release_for(void* fiber, void* tag) {
  void* self = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(fiber, __tsan_switch_to_fiber_no_sync);
  __tsan_release(tag);
  __tsan_switch_to_fiber(self, __tsan_switch_to_fiber_no_sync);
}
#else
inline constexpr bool kThreadSanitizer = false;
inline void acquire(void*) {}
inline void release(void*) {}
inline void release_for(void*, void*) {}
#endif

}  // namespace ddpm::emulator
