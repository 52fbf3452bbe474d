// exp(x) for x <= 0, which is all that the sigmoid and the softmax need.
#pragma once

#include <bit>
#include <cstdint>

namespace ddpm::cpu {

// Within 2 ulp, in plain arithmetic that the compiler vectorizes; calling expf for each element would
// dominate the cost of a group norm. With n the integer nearest to x / log 2, exp x = 2^n exp(x - n log 2),
// and the argument of the second factor is within +-log(2)/2. Below -87 the result is exp(-87).
inline float exp_nonpositive(float x) {
  x = x < -87.0F ? -87.0F : x;  // exp(-87) is about the smallest normal float
  // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits.
  constexpr float kRound = 12582912.0F;
  const float shifted = x * 1.44269504F + kRound;
  const float n = shifted - kRound;
  // log 2 in two parts; the first has 12 trailing zero bits, so that its product with n is exact.
  const float r = (x - n * 0x1.62e000p-1F) - n * 0x1.0bfbe8p-15F;
  // Taylor series; at log(2)/2 the first omitted term is 5e-9.
  float series = 1.0F / 5040;
  series = series * r + 1.0F / 720;
  series = series * r + 1.0F / 120;
  series = series * r + 1.0F / 24;
  series = series * r + 1.0F / 6;
  series = series * r + 0.5F;
  series = series * r + 1.0F;
  series = series * r + 1.0F;
  const uint32_t power = std::bit_cast<uint32_t>(shifted) << 23;  // n, moved to the exponent bits
  return std::bit_cast<float>(std::bit_cast<uint32_t>(series) + power);
}

}  // namespace ddpm::cpu
