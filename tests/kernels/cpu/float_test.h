// What the tests of kernels/cpu share: rounding errors, and runs with several numbers of threads.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/kernels/reference/tensors.h"

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace ddpm::cpu {

using reference::expect_within;
using reference::Output;
using reference::random_values;
using reference::to_double;

// The largest relative rounding error of one float operation. The bounds count roundings to first order; the
// slack covers the higher orders.
inline constexpr double kUnit = 0x1p-24;
inline constexpr double kSlack = 1.01;

// Relative error of silu(x), and with it of the sigmoid: 2 units of the exponential, which enters numerator
// and denominator, one of the sum, one of the quotient, one of the product with x.
inline constexpr double kSiluUnits = 7;

// run() returns what the operation wrote, which must have the same bits for any number of threads.
template <typename Run>
auto same_for_any_threads(const Run& run) {
  const auto result = run();
#if defined(_OPENMP)
  const int before = omp_get_max_threads();
  for (const int threads : {1, 2, 5}) {
    omp_set_num_threads(threads);
    EXPECT_TRUE(run() == result) << threads << " threads";
  }
  omp_set_num_threads(before);
#endif
  return result;
}

}  // namespace ddpm::cpu
