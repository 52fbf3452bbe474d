// How the rounding errors of an operation's result grow: what two implementations of it may differ by.
#pragma once

#include <algorithm>

namespace ddpm {

// The error of an output, for each element, is at most
//   roundings storage_roundoff result + 8 sqrt(terms) amplification arithmetic_roundoff magnitude
// A sum of `terms` errs by about sqrt(terms) units (Higham & Mary 2019, "A new approach to probabilistic
// rounding error analysis"), and the largest of very many such errors by a few times that. `roundings` counts
// how often a value is stored on its way; `amplification` is what the operation's own steepness makes of an
// error. runtime/report/operation_comparison.h has the rest.
struct ErrorGrowth {
  double terms = 1;
  double roundings = 1;
  double amplification = 1;
};

// Copies, indices, counters.
inline constexpr ErrorGrowth kExact{.terms = 0, .roundings = 0};
// A function of few roundings: sums of two, a logarithm and a cosine, a square root and a quotient.
inline constexpr double kFewTerms = 16;
// Layers of library calls: bias and residual may be stored before the sum is added to them, which may then be
// stored once more by the convolution that adds the other half of a concatenation; a weight's gradient is
// computed in the storage type and then added to the float one.
inline constexpr double kLayerRoundings = 4;

// Sums are taken in blocks and then over the blocks, so that no partial sum is longer than 2^14.
inline ErrorGrowth growth_of_sum(double terms, double roundings, double amplification = 1) {
  return {std::min(terms, double(1 << 14)), roundings, amplification};
}

}  // namespace ddpm
