// The exponential of numbers that are not positive: all that the sigmoid and the softmax need.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace ddpm::reference {

inline double exp_nonpositive(double x) { return std::exp(x); }

// In float: within 2 units in the last place, as plain arithmetic that the compiler vectorises; a call of the
// library's expf for each element would take most of a normalisation's time. With n the integer nearest to
// x / log 2, exp x = 2^n exp(x - n log 2), and the second factor's argument lies within log(2)/2 of 0.
inline float exp_nonpositive(float x) {
  x = x < -87.0F ? -87.0F : x;  // exp(-87) is about the smallest normal float
  // Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits.
  constexpr float kRound = 12582912.0F;
  const float shifted = x * 1.44269504F + kRound;
  const float n = shifted - kRound;
  // log 2 in two parts; the first has 12 trailing zero bits, so that its product with n is exact.
  const float r = (x - n * 0x1.62e000p-1F) - n * 0x1.0bfbe8p-15F;
  // Taylor's series; at log(2)/2 the first term left out is 5e-9.
  float series = 1.0F / 5040;
  series = series * r + 1.0F / 720;
  series = series * r + 1.0F / 120;
  series = series * r + 1.0F / 24;
  series = series * r + 1.0F / 6;
  series = series * r + 0.5F;
  series = series * r + 1.0F;
  series = series * r + 1.0F;
  const uint32_t power = std::bit_cast<uint32_t>(shifted) << 23;  // n in the exponent's place
  return std::bit_cast<float>(std::bit_cast<uint32_t>(series) + power);
}

}  // namespace ddpm::reference
