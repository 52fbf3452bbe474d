// Shared memory of a kernel: one struct of fixed size through block_shared, and an array whose size the
// launch chooses through dynamic_shared. Kernels never write `__shared__` themselves, so that the emulator
// can bound and poison what they use. For .cu files only.
#pragma once

#include <cstddef>
#include <type_traits>

namespace ddpm {

// The block's own T, the same object for all its threads and uninitialised (the emulator fills it with 0xFF,
// which is NaN as a float). A kernel has one such struct, of at most 48 KB.
//
//   struct Shared { BlockReduceScratch<float> scratch; float tile[32][33]; };
//   Shared& shared = block_shared<Shared>();
template <typename T>
__device__ __forceinline__ T& block_shared() {
  static_assert(std::is_trivially_default_constructible_v<T> && std::is_trivially_destructible_v<T>,
                "nobody constructs shared memory: its members have no initialisers");
  static_assert(sizeof(T) <= 48 * 1024, "static shared memory ends at 48 KB: use dynamic_shared");
#ifdef DDPM_EMULATOR
  return *static_cast<T*>(emulator::static_shared(emulator::type_tag<T>(), sizeof(T), alignof(T)));
#else
  __shared__ T shared;
  return shared;
#endif
}

// `count` elements of T in the launch's LaunchConfig::shared_bytes, from byte `offset` on (so that several
// arrays share them). The emulator reports an array that does not fit or is misaligned; on the GPU `count` is
// not used.
template <typename T>
__device__ __forceinline__ T* dynamic_shared(size_t count, size_t offset = 0) {
  static_assert(std::is_trivially_default_constructible_v<T> && std::is_trivially_destructible_v<T>,
                "nobody constructs shared memory: its members have no initialisers");
#ifdef DDPM_EMULATOR
  return static_cast<T*>(emulator::dynamic_shared(offset, count * sizeof(T), alignof(T)));
#else
  static_cast<void>(count);
  extern __shared__ uint4 ddpm_dynamic_shared[];  // of uint4: 16-byte aligned for Packed
  return reinterpret_cast<T*>(reinterpret_cast<unsigned char*>(ddpm_dynamic_shared) + offset);
#endif
}

}  // namespace ddpm
