// Loads and stores of kWidth adjacent elements as floats: one access of kWidth * sizeof(T) bytes, at most 16,
// aligned to its size. A width of 1 serves rows that are not a whole number of vectors. For .cu files only.
#pragma once

#include <cstdint>

#include "device/vector.h"

namespace ddpm::cuda {

namespace detail {
template <int kWidth, typename T>
struct alignas(kWidth * sizeof(T)) Columns {
  T values[kWidth];
};
}  // namespace detail

template <int kWidth, typename T>
__device__ __forceinline__ void load_columns(const T* from, float (&to)[kWidth]) {
  if constexpr (kWidth == Packed<T>::kWidth) {
    load_floats(from, to, CacheHint::kStreaming);
  } else {
    const auto columns = *reinterpret_cast<const detail::Columns<kWidth, T>*>(from);
#pragma unroll
    for (int k = 0; k < kWidth; ++k) to[k] = to_float(columns.values[k]);
  }
}

template <int kWidth, typename T>
__device__ __forceinline__ void store_columns(T* to, const float (&from)[kWidth]) {
  if constexpr (kWidth == Packed<T>::kWidth) {
    store_floats(to, from);
  } else {
    detail::Columns<kWidth, T> columns;
#pragma unroll
    for (int k = 0; k < kWidth; ++k) columns.values[k] = from_float<T>(from[k]);
    *reinterpret_cast<detail::Columns<kWidth, T>*>(to) = columns;
  }
}

// kCount adjacent registers: elements [first, first + kCount) of an array whose indices are all
// compile-time constants.
template <int kCount, int kSize>
__device__ __forceinline__ float (&subarray(float (&array)[kSize], int first))[kCount] {
  return reinterpret_cast<float(&)[kCount]>(array[first]);
}

// Calls function(std::integral_constant<int, width>) with width = kWidest if it divides `columns`, else 1.
template <int kWidest, typename Function>
void with_width(int64_t columns, Function function) {
  if (columns % kWidest == 0) {
    function(std::integral_constant<int, kWidest>());
  } else {
    function(std::integral_constant<int, 1>());
  }
}

}  // namespace ddpm::cuda
