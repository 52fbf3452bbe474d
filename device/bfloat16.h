// BFloat16, one type for kernels, launchers and host code. CUDA's __nv_bfloat16 does not exist without the
// toolkit, and an alias that differs between the two compilers would give a launcher two mangled names.
#pragma once

#include <cstdint>
#include <cstring>

#include "device/host_device.h"

#ifdef __CUDACC__
#include <cuda_bf16.h>
#endif

namespace ddpm {

// The upper half of a float: 8 exponent bits, 7 significand bits (unit roundoff 2^-8). Storage only;
// arithmetic is in float. Same layout as __nv_bfloat16, cuDNN's CUDNN_DATA_BFLOAT16 and CUDA_R_16BF.
struct BFloat16 {
  uint16_t bits;
};

// Exact.
DDPM_HOST_DEVICE inline float to_float(BFloat16 value) {
  const uint32_t word = static_cast<uint32_t>(value.bits) << 16;
  float result = 0;
  std::memcpy(&result, &word, sizeof(result));
  return result;
}

// Rounds to nearest, ties to even; overflow gives infinity. Every NaN becomes 0x7FFF, as in
// the GPU instruction.
DDPM_HOST_DEVICE inline BFloat16 to_bfloat16(float value) {
#ifdef __CUDA_ARCH__
  return {__bfloat16_as_ushort(__float2bfloat16_rn(value))};
#else
  uint32_t word = 0;
  std::memcpy(&word, &value, sizeof(word));
  const bool is_nan = (word & 0x7FFFFFFFu) > 0x7F800000u;
  if (is_nan) return {0x7FFF};
  // Adds half of the last kept bit, less one unless that bit is odd: the carry then rounds to nearest even.
  word += 0x7FFFu + ((word >> 16) & 1u);
  return {static_cast<uint16_t>(word >> 16)};
#endif
}

// Converts two at once: one instruction on the GPU, where two separate conversions take three.
DDPM_HOST_DEVICE inline void to_bfloat16_pair(float first, float second, BFloat16* pair) {
#ifdef __CUDA_ARCH__
  const __nv_bfloat162 both = __floats2bfloat162_rn(first, second);
  std::memcpy(pair, &both, sizeof(both));
#else
  pair[0] = to_bfloat16(first);
  pair[1] = to_bfloat16(second);
#endif
}

// Converts a 4-byte aligned pair with one operation each on the word that holds it.
DDPM_HOST_DEVICE inline void to_float_pair(const BFloat16* pair, float& first, float& second) {
  uint32_t word = 0;
  std::memcpy(&word, pair, sizeof(word));
  const uint32_t low = word << 16, high = word & 0xFFFF0000u;
  std::memcpy(&first, &low, sizeof(first));
  std::memcpy(&second, &high, sizeof(second));
}

// The same conversions for kernels that are templates over the storage type T, float or BFloat16.
DDPM_HOST_DEVICE inline float to_float(float value) { return value; }

template <typename T>
DDPM_HOST_DEVICE T from_float(float value);
template <>
DDPM_HOST_DEVICE inline float from_float<float>(float value) {
  return value;
}
template <>
DDPM_HOST_DEVICE inline BFloat16 from_float<BFloat16>(float value) {
  return to_bfloat16(value);
}

}  // namespace ddpm
