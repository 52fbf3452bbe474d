// Classifier-free guidance (Ho & Salimans 2022): of the network's answers with and without a condition,
// one that goes beyond the conditional one. Implementation: kernels/reference/guidance.cpp.
//
//   y = unconditional + scale (conditional - unconditional)
//
// Equation 6 of the paper reads (1 + w) conditional - w unconditional, so scale = 1 + w: the convention of
// Imagen and of diffusers' guidance_scale, in which 1 is the conditional answer alone and 0 the unconditional
// one. The equation is about eps; but given x_t, each of eps, x0 and v is an affine function of each other,
// and an affine function of such a sum, whose weights add up to 1, is the sum of the functions: one operation
// serves all three.
#pragma once

#include <cstdint>

#include "kernels/cost.h"

namespace ddpm {

struct GuidanceShape {
  int n = 1;
  int64_t pixels = 1;       // of an image
  int channels = 3;         // that guidance applies to: the prediction
  int answer_channels = 3;  // of the network; the rest, a learned variance, is the conditional answer's
  double scale = 1;

  int64_t elements() const { return n * pixels * answer_channels; }  // of y
  bool operator==(const GuidanceShape&) const = default;
};

// answers (2, N, pixels, answer_channels): first all conditional ones, then all unconditional ones.
// y (N, pixels, answer_channels).
template <typename T>
struct GuidanceArgs {
  const T* answers;
  T* y;
};

inline Cost cost(const GuidanceShape& s, int element_bytes) {
  return {3.0 * double(s.elements()), 3.0 * element_bytes * double(s.elements())};
}

}  // namespace ddpm
