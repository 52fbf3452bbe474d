// Shared memory of a kernel: block_shared for one struct of fixed size, dynamic_shared for an array whose
// size is set at launch. Kernels never write `__shared__` themselves, so that the emulator can bound and
// poison the memory that they use. For .cu files only.
#pragma once

#include <cstddef>
#include <type_traits>

namespace ddpm {

// The block's T, the same object for all its threads, uninitialized (the emulator fills it with 0xFF, which
// is NaN as a float). A kernel has one such struct, of at most 48 KB.
//
//   struct Shared { BlockReduceScratch<float> scratch; float tile[32][33]; };
//   Shared& shared = block_shared<Shared>();
template <typename T>
__device__ __forceinline__ T& block_shared() {
  static_assert(std::is_trivially_default_constructible_v<T> && std::is_trivially_destructible_v<T>,
                "shared memory is never constructed: its members must not have initializers");
  static_assert(sizeof(T) <= 48 * 1024, "static shared memory is limited to 48 KB: use dynamic_shared");
#ifdef DDPM_EMULATOR
  return *static_cast<T*>(emulator::static_shared(emulator::type_tag<T>(), sizeof(T), alignof(T)));
#else
  __shared__ T shared;
  return shared;
#endif
}

// `count` elements of T at byte `offset` of the launch's LaunchConfig::shared_bytes, so that several arrays
// can share them. The emulator reports arrays that do not fit or are misaligned; the GPU ignores `count`.
template <typename T>
__device__ __forceinline__ T* dynamic_shared(size_t count, size_t offset = 0) {
  static_assert(std::is_trivially_default_constructible_v<T> && std::is_trivially_destructible_v<T>,
                "shared memory is never constructed: its members must not have initializers");
#ifdef DDPM_EMULATOR
  return static_cast<T*>(emulator::dynamic_shared(offset, count * sizeof(T), alignof(T)));
#else
  static_cast<void>(count);
  extern __shared__ uint4 ddpm_dynamic_shared[];  // of uint4: 16-byte aligned for Packed
  return reinterpret_cast<T*>(reinterpret_cast<unsigned char*>(ddpm_dynamic_shared) + offset);
#endif
}

}  // namespace ddpm
