// Packed<T>: 16 bytes of global or shared memory as one load or store, so that a kernel reads the same for
// float (4 values) and BFloat16 (8 values). For .cu files only.
#pragma once

#include <type_traits>

#include "device/bfloat16.h"

namespace ddpm {

// How long a value is worth caching. The emulator ignores it.
enum class CacheHint {
  kKeep,       // it will be read again soon
  kStreaming,  // touched once in this kernel: evict it first (ld.global.cs, st.global.cs)
};

template <typename T>
struct alignas(16) Packed {
  static constexpr int kWidth = 16 / sizeof(T);
  T values[kWidth];

  // kWidth values from a 16-byte aligned address.
  static __device__ Packed load(const T* from, CacheHint hint = CacheHint::kKeep);
  // To a 16-byte aligned address.
  __device__ void store(T* to, CacheHint hint = CacheHint::kKeep) const;

  static __device__ Packed from_floats(const float (&floats)[kWidth]);
  __device__ void to_floats(float (&floats)[kWidth]) const;
};

// What most kernels use: Packed<T>::kWidth values of storage type T from and to float registers.
template <typename T>
__device__ __forceinline__ void load_floats(const T* from, float (&floats)[Packed<T>::kWidth],
                                            CacheHint hint = CacheHint::kKeep) {
  Packed<T>::load(from, hint).to_floats(floats);
}

template <typename T>
__device__ __forceinline__ void store_floats(T* to, const float (&floats)[Packed<T>::kWidth],
                                             CacheHint hint = CacheHint::kKeep) {
  Packed<T>::from_floats(floats).store(to, hint);
}

// ---- implementation

template <typename T>
__device__ __forceinline__ Packed<T> Packed<T>::load(const T* from, CacheHint hint) {
#ifdef DDPM_EMULATOR
  emulator::check_alignment(from, 16);
  static_cast<void>(hint);
  return *reinterpret_cast<const Packed*>(from);
#else
  const uint4* address = reinterpret_cast<const uint4*>(from);
  const uint4 words = hint == CacheHint::kStreaming ? __ldcs(address) : *address;
  Packed result;
  std::memcpy(&result, &words, sizeof(result));
  return result;
#endif
}

template <typename T>
__device__ __forceinline__ void Packed<T>::store(T* to, CacheHint hint) const {
#ifdef DDPM_EMULATOR
  emulator::check_alignment(to, 16);
  static_cast<void>(hint);
  *reinterpret_cast<Packed*>(to) = *this;
#else
  uint4 words;
  std::memcpy(&words, this, sizeof(words));
  uint4* address = reinterpret_cast<uint4*>(to);
  if (hint == CacheHint::kStreaming) {
    __stcs(address, words);
  } else if (__isGlobal(to)) {
    __stwb(address, words);  // a plain store became four where nvcc could not prove the alignment of `to`
  } else {
    *address = words;
  }
#endif
}

template <typename T>
__device__ __forceinline__ Packed<T> Packed<T>::from_floats(const float (&floats)[kWidth]) {
  Packed result;
  if constexpr (std::is_same_v<T, BFloat16>) {
#pragma unroll
    for (int k = 0; k < kWidth; k += 2) to_bfloat16_pair(floats[k], floats[k + 1], &result.values[k]);
  } else {
#pragma unroll
    for (int k = 0; k < kWidth; ++k) result.values[k] = from_float<T>(floats[k]);
  }
  return result;
}

template <typename T>
__device__ __forceinline__ void Packed<T>::to_floats(float (&floats)[kWidth]) const {
  if constexpr (std::is_same_v<T, BFloat16>) {
#pragma unroll
    for (int k = 0; k < kWidth; k += 2) to_float_pair(&values[k], floats[k], floats[k + 1]);
  } else {
#pragma unroll
    for (int k = 0; k < kWidth; ++k) floats[k] = to_float(values[k]);
  }
}

}  // namespace ddpm
