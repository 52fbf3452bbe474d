// All of the engine's random numbers: each is a pure function of (seed, stream, sample, element). Nothing is
// stored and nothing advances, so a run resumes bit for bit, an image does not depend on the batch it is
// drawn in, and one kernel can redraw what another drew. The CPU and the GPU give the same bits: all
// arithmetic here is on integers, or a correctly rounded +, -, *, / or square root, which is never fused.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "device/host_device.h"
#include "kernels/philox.h"

namespace ddpm {

// What the numbers are for: two streams of one seed are independent. A stream that has members (one per
// sampling step, one per dropout operation) owns the 2^24 values from its own on; see random_key.
enum class RandomStream : uint32_t {
  kTimestep = 0,           // t of a training sample
  kNoise = 1,              // epsilon of a training sample, element = position in the image
  kFlip = 2,               // horizontal flip of a training sample
  kEpochOrder = 3,         // sample = epoch; see kernels/permutation.h
  kInitialNoise = 4,       // x_T of a generated image, sample = image index
  kDequantise = 5,         // uniform dequantization
  kConditionDrop = 6,      // whether a training sample loses its class label
  kData = 7,               // procedural data, sample = image index
  kInitialise = 1u << 24,  // weights, + index of the parameter
  kSampler = 2u << 24,     // noise of sampling, + index of the step, sample = image index
  kDropout = 3u << 24,     // + index of the operation
};

struct RandomKey {
  uint64_t seed;
  uint32_t stream;
};

// `member` is below 2^24.
DDPM_HOST_DEVICE constexpr RandomKey random_key(uint64_t seed, RandomStream stream, uint32_t member = 0) {
  return {seed, static_cast<uint32_t>(stream) + member};
}

// The random words of elements 4*block .. 4*block+3. `sample` is a position that is global to the run: in
// training step * batch + n, in sampling the index of the image.
DDPM_HOST_DEVICE constexpr U32x4 random_bits4(RandomKey key, uint64_t sample, uint32_t block) {
  return philox4x32_10(
      {{block, key.stream, static_cast<uint32_t>(sample), static_cast<uint32_t>(sample >> 32)}},
      {{static_cast<uint32_t>(key.seed), static_cast<uint32_t>(key.seed >> 32)}});
}

// The random word of one element; it equals the element's word in random_bits4. `element` is below 2^34.
DDPM_HOST_DEVICE constexpr uint32_t random_bits(RandomKey key, uint64_t sample, uint64_t element = 0) {
  return random_bits4(key, sample, static_cast<uint32_t>(element >> 2))[static_cast<int>(element & 3)];
}

// One of the 2^23 odd multiples of 2^-24: uniform in (0, 1), exact, never an end.
DDPM_HOST_DEVICE constexpr float uniform_open(uint32_t bits) {
  return static_cast<float>(2 * (bits >> 9) + 1) * 0x1p-24f;
}

// An integer in [0, n). No value's probability differs from 1/n by more than 2^-32, that is by a relative n *
// 2^-32: 2.4e-7 for a thousand timesteps, far below what any run could notice.
DDPM_HOST_DEVICE constexpr uint32_t uniform_below(uint32_t bits, uint32_t n) {
  return static_cast<uint32_t>((uint64_t{bits} * n) >> 32);
}

// Whether an event of probability p happens, p in [0, 1]; exact at both ends.
DDPM_HOST_DEVICE constexpr bool bernoulli(uint32_t bits, float p) { return uniform_open(bits) < p; }

namespace exact {

// Correctly rounded operations that the compiler must not fuse (on the host: -ffp-contract=off).
#ifdef __CUDA_ARCH__
__device__ inline float add(float a, float b) { return __fadd_rn(a, b); }
__device__ inline float multiply(float a, float b) { return __fmul_rn(a, b); }
__device__ inline float divide(float a, float b) { return __fdiv_rn(a, b); }
__device__ inline float square_root(float a) { return __fsqrt_rn(a); }
#else
DDPM_HOST_DEVICE inline float add(float a, float b) { return a + b; }
DDPM_HOST_DEVICE inline float multiply(float a, float b) { return a * b; }
DDPM_HOST_DEVICE inline float divide(float a, float b) { return a / b; }
DDPM_HOST_DEVICE inline float square_root(float a) { return std::sqrt(a); }
#endif

// c[0] + c[1] x + ... + c[N-1] x^(N-1), by Horner's rule.
template <int N>
DDPM_HOST_DEVICE inline float polynomial(float x, const float (&c)[N]) {
  float sum = c[N - 1];
  for (int i = N - 2; i >= 0; --i) sum = add(multiply(sum, x), c[i]);
  return sum;
}

// Natural logarithm of a normal positive float, relative error below 1e-6 (2.5 units in the last place were
// seen). With x = m * 2^e, m in [sqrt(1/2), sqrt(2)): log x = e log 2 + 2 artanh((m - 1) / (m + 1)).
DDPM_HOST_DEVICE inline float log(float x) {
  uint32_t word = 0;
  std::memcpy(&word, &x, sizeof(word));
  constexpr uint32_t kSqrtHalf = 0x3F3504F3;  // the float sqrt(1/2)
  const int32_t e = static_cast<int32_t>(word - kSqrtHalf) >> 23;
  word -= static_cast<uint32_t>(e) << 23;
  float m = 0;
  std::memcpy(&m, &word, sizeof(m));

  const float s =
      divide(add(m, -1.0f), add(m, 1.0f));  // |s| <= 0.1716; the first term left out is below 3e-9
  constexpr float kSeries[] = {2.0f, 2.0f / 3, 2.0f / 5, 2.0f / 7, 2.0f / 9};
  const float log_m = multiply(s, polynomial(multiply(s, s), kSeries));
  // log 2 in two parts; the first has 12 trailing zero bits, so that its product with e is exact.
  constexpr float kLog2High = 0x1.62e000p-1f;
  constexpr float kLog2Low = 0x1.0bfbe8p-15f;
  const float exponent = static_cast<float>(e);
  return add(multiply(exponent, kLog2High), add(multiply(exponent, kLog2Low), log_m));
}

struct SinCos {
  float sin;
  float cos;
};

// sin and cos of turn * 2 pi / 2^32, absolute error below 2e-7.
DDPM_HOST_DEVICE inline SinCos sincos_of_turn(uint32_t turn) {
  const uint32_t quarter = (turn + (1u << 29)) >> 30;  // the nearest quarter turn; the rest is within +-pi/4
  const int32_t rest = static_cast<int32_t>(turn - (quarter << 30));
  constexpr float kRadians = 0x1.921fb6p-30f;  // 2 pi / 2^32
  const float x = multiply(static_cast<float>(rest), kRadians);
  const float x2 = multiply(x, x);
  // Taylor's series; at pi/4 the first terms left out are 2e-9 and 1e-10.
  constexpr float kSin[] = {1.0f, -1.0f / 6, 1.0f / 120, -1.0f / 5040, 1.0f / 362880};
  constexpr float kCos[] = {1.0f, -1.0f / 2, 1.0f / 24, -1.0f / 720, 1.0f / 40320, -1.0f / 3628800};
  const float s = multiply(x, polynomial(x2, kSin));
  const float c = polynomial(x2, kCos);
  switch (quarter & 3) {
    case 0:
      return {s, c};
    case 1:
      return {c, -s};
    case 2:
      return {-s, -c};
    default:
      return {-c, s};
  }
}

}  // namespace exact

struct F32x4 {
  float v[4];
  DDPM_HOST_DEVICE constexpr float operator[](int i) const { return v[i]; }
};

struct F32x2 {
  float v[2];
};

// Two independent standard normals from two words (Box and Muller, 1958). The radius takes all 32 bits, so
// the tails reach sqrt(66 log 2) = 6.76.
DDPM_HOST_DEVICE inline F32x2 box_muller(uint32_t radius_bits, uint32_t angle_bits) {
  // (radius_bits + 1/2) / 2^32 in (0, 1]; rounding to a float may give 1, whose logarithm is exactly 0.
  const float u = exact::multiply(exact::add(static_cast<float>(radius_bits), 0.5f), 0x1p-32f);
  const float radius = exact::square_root(exact::multiply(-2.0f, exact::log(u)));
  const exact::SinCos angle = exact::sincos_of_turn(angle_bits);
  return {{exact::multiply(radius, angle.cos), exact::multiply(radius, angle.sin)}};
}

DDPM_HOST_DEVICE inline F32x4 normal4(const U32x4& bits) {
  const F32x2 first = box_muller(bits[0], bits[1]);
  const F32x2 second = box_muller(bits[2], bits[3]);
  return {{first.v[0], first.v[1], second.v[0], second.v[1]}};
}

// The standard normals of elements 4*block .. 4*block+3.
DDPM_HOST_DEVICE inline F32x4 normal4(RandomKey key, uint64_t sample, uint32_t block) {
  return normal4(random_bits4(key, sample, block));
}

// The standard normal of one element; it equals the element's value in normal4, at up to four times the cost.
DDPM_HOST_DEVICE inline float normal(RandomKey key, uint64_t sample, uint64_t element) {
  const U32x4 bits = random_bits4(key, sample, static_cast<uint32_t>(element >> 2));
  const int pair = static_cast<int>(element & 2);
  return box_muller(bits[pair], bits[pair + 1]).v[element & 1];
}

}  // namespace ddpm
