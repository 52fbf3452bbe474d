// Barriers, shuffles and votes under their CUDA names, in namespace ddpm like kernels. __activemask() is
// missing by intent: its result depends on scheduling.
#pragma once

#include <cstring>
#include <type_traits>

#include "device/emulator/kernel_interface.h"

// NOLINTBEGIN(bugprone-reserved-identifier): CUDA chose these names
namespace ddpm {

inline constexpr int warpSize = 32;

inline void __syncthreads(CallSite site = CallSite::current()) { emulator::block_barrier(site); }
inline void __syncwarp(unsigned mask = 0xFFFFFFFFu, CallSite site = CallSite::current()) {
  emulator::warp_operation(emulator::WarpOperation::kSync, mask, 0, 0, 32, site);
}
inline void __threadfence() { emulator::memory_fence(); }
inline void __threadfence_block() { emulator::memory_fence(); }

namespace emulator {
template <typename T>
T shuffle(WarpOperation operation, unsigned mask, T value, int argument, int width, CallSite site) {
  static_assert(std::is_arithmetic_v<T>, "CUDA shuffles arithmetic types only");
  uint64_t bits = 0;
  __builtin_memcpy(&bits, &value, sizeof(value));
  bits = warp_operation(operation, mask, bits, argument, width, site);
  __builtin_memcpy(&value, &bits, sizeof(value));
  return value;
}
}  // namespace emulator

template <typename T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32, CallSite site = CallSite::current()) {
  return emulator::shuffle(emulator::WarpOperation::kShuffle, mask, value, lane, width, site);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 CallSite site = CallSite::current()) {
  return emulator::shuffle(emulator::WarpOperation::kShuffleUp, mask, value, static_cast<int>(delta), width,
                           site);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   CallSite site = CallSite::current()) {
  return emulator::shuffle(emulator::WarpOperation::kShuffleDown, mask, value, static_cast<int>(delta), width,
                           site);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32,
                  CallSite site = CallSite::current()) {
  return emulator::shuffle(emulator::WarpOperation::kShuffleXor, mask, value, lane_mask, width, site);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, CallSite site = CallSite::current()) {
  return static_cast<unsigned>(
      emulator::warp_operation(emulator::WarpOperation::kBallot, mask, predicate != 0, 0, 32, site));
}
inline int __any_sync(unsigned mask, int predicate, CallSite site = CallSite::current()) {
  return emulator::warp_operation(emulator::WarpOperation::kAny, mask, predicate != 0, 0, 32, site) != 0;
}
inline int __all_sync(unsigned mask, int predicate, CallSite site = CallSite::current()) {
  return emulator::warp_operation(emulator::WarpOperation::kAll, mask, predicate != 0, 0, 32, site) != 0;
}

}  // namespace ddpm
// NOLINTEND(bugprone-reserved-identifier)
