// CUDA device functions that the host's <cmath> lacks. They live in namespace ddpm, like kernels, so that
// they hide C library functions of the same name instead of clashing with them. The fast versions are
// computed exactly here; on the GPU they differ in the last bits.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

// NOLINTBEGIN(bugprone-reserved-identifier): CUDA chose these names
namespace ddpm {

inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fmaf_rn(float x, float y, float z) { return std::fma(x, y, z); }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
inline float __saturatef(float x) { return std::fmin(std::fmax(x, 0.0f), 1.0f); }

inline unsigned __float_as_uint(float x) {
  unsigned word = 0;
  __builtin_memcpy(&word, &x, sizeof(word));
  return word;
}
inline float __uint_as_float(unsigned word) {
  float x = 0;
  __builtin_memcpy(&x, &word, sizeof(x));
  return x;
}
inline int __float_as_int(float x) { return static_cast<int>(__float_as_uint(x)); }
inline float __int_as_float(int word) { return __uint_as_float(static_cast<unsigned>(word)); }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline unsigned __umulhi(unsigned x, unsigned y) { return static_cast<unsigned>((uint64_t{x} * y) >> 32); }

template <typename T>
T __ldg(const T* address) {
  return *address;
}

// CUDA's min and max take the common type of mixed arguments; these do not, so that no sign is lost silently.
template <typename T>
constexpr T min(T a, T b) {
  return b < a ? b : a;
}
template <typename T>
constexpr T max(T a, T b) {
  return a < b ? b : a;
}
// If one float is NaN, returns the other.
inline float min(float a, float b) { return std::fmin(a, b); }
inline float max(float a, float b) { return std::fmax(a, b); }

}  // namespace ddpm
// NOLINTEND(bugprone-reserved-identifier)
