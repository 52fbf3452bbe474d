// Checks a hand-written gradient against central differences in double.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace ddpm {

// Expects `gradient` to be the gradient of loss() with respect to `values`, which loss() reads.
// Checks every element.
//
// (L(v + h) - L(v - h)) / 2h is off by h^2 L''' / 6, and by the rounding of L over h, about eps |L| / h. With
// values of order one, h = 1e-5 makes these 1e-10 and 1e-11 times their factors. Third derivatives of the
// chains tested here (SiLU, softmax, 1/sqrt) stay below a few hundred times the gradient, and L is a sum of
// at most a few hundred terms of order one; hence the factor 100 on each. A wrong term in a gradient is off
// by its own size, 1e-2 and up.
inline void expect_gradient(const std::string& name, std::vector<double>& values,
                            const std::vector<double>& gradient, const std::function<double()>& loss) {
  ASSERT_FALSE(values.empty()) << name;
  ASSERT_EQ(values.size(), gradient.size()) << name;
  constexpr double kStep = 1e-5;
  double largest = 0;
  for (const double g : gradient) largest = std::max(largest, std::abs(g));
  const double bound = 100 * (kStep * kStep * (1 + largest) +
                              std::numeric_limits<double>::epsilon() / kStep * (1 + std::abs(loss())));
  for (size_t i = 0; i < values.size(); ++i) {
    const double value = values[i];
    values[i] = value + kStep;
    const double above = loss();
    values[i] = value - kStep;
    const double below = loss();
    values[i] = value;
    EXPECT_NEAR((above - below) / (2 * kStep), gradient[i], bound) << name << '[' << i << ']';
  }
}

}  // namespace ddpm
