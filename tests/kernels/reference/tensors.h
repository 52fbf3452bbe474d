// Random inputs, guarded outputs and comparisons for tests of single operations.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <random>
#include <vector>

namespace ddpm::reference {

// Uniform in (offset - 1, offset + 1); the same on every machine.
template <typename T = double>
std::vector<T> random_values(int64_t count, uint32_t seed, double offset = 0) {
  std::mt19937 engine(seed);
  std::vector<T> values(static_cast<size_t>(count));
  for (T& value : values) value = T(offset + (double(engine() >> 8) + 0.5) * 0x1p-23 - 1);
  return values;
}

template <typename T>
std::vector<double> to_double(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}

// sum of a[i] b[i]: a scalar loss whose gradient by a is b.
inline double inner_product(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

// An output array between two guards, filled with NaN: values() fails the test if an element was not written
// or a guard was overwritten.
template <typename T>
class Output {
 public:
  explicit Output(int64_t count)
      : storage_(static_cast<size_t>(count + 2 * kGuard), std::numeric_limits<T>::quiet_NaN()) {
    for (int64_t i = 0; i < kGuard; ++i) storage_[i] = storage_[storage_.size() - 1 - i] = kGuardValue;
  }
  // For outputs that are accumulated into.
  explicit Output(const std::vector<T>& initial) : Output(int64_t(initial.size())) {
    std::copy(initial.begin(), initial.end(), data());
  }

  T* data() { return storage_.data() + kGuard; }

  std::vector<T> values() const {
    for (int64_t i = 0; i < kGuard; ++i) {
      EXPECT_EQ(storage_[i], kGuardValue) << "written before the array";
      EXPECT_EQ(storage_[storage_.size() - 1 - i], kGuardValue) << "written after the array";
    }
    std::vector<T> values(storage_.begin() + kGuard, storage_.end() - kGuard);
    for (size_t i = 0; i < values.size(); ++i) EXPECT_FALSE(std::isnan(values[i])) << "not written: " << i;
    return values;
  }

 private:
  static constexpr int64_t kGuard = 64;  // wider than a vector register or a cache line
  static constexpr T kGuardValue = T(12345);
  std::vector<T> storage_;
};

// The pointer for an optional argument.
template <typename T>
const T* data_or_null(const std::vector<T>& values) {
  return values.empty() ? nullptr : values.data();
}

template <typename T>
void expect_all_near(const std::vector<T>& actual, const std::vector<T>& expected, double bound) {
  ASSERT_FALSE(expected.empty());
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < actual.size(); ++i) EXPECT_NEAR(actual[i], expected[i], bound) << "element " << i;
}

// |actual - expected| <= bound(i) for every element; prints the worst ratio of error to bound.
template <typename Bound>
void expect_within(const char* what, const std::vector<double>& actual, const std::vector<double>& expected,
                   const Bound& bound) {
  ASSERT_EQ(actual.size(), expected.size()) << what;
  double worst = 0;
  size_t worst_index = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double error = std::abs(actual[i] - expected[i]);
    const double ratio = error == 0 ? 0 : error / bound(i);
    if (ratio <= worst) continue;
    worst = ratio;  // NaN too: it is not <= anything
    worst_index = i;
    if (std::isnan(ratio)) break;
  }
  std::printf("[  margin  ] %s: worst error / bound = %.3f\n", what, worst);
  EXPECT_LE(worst, 1) << what << ": element " << worst_index << " is " << actual[worst_index] << ", expected "
                      << expected[worst_index] << " +- " << bound(worst_index);
}

}  // namespace ddpm::reference
