// Linear combinations of what a sampler's step has at hand, so that the formulas of the papers can be
// written as they stand and end as a row of coefficients.
#pragma once

#include <array>

#include "kernels/sampler_step.h"

namespace ddpm {

class LinearForm {
 public:
  LinearForm() = default;  // zero

  static LinearForm x() { return LinearForm(0); }
  static LinearForm output() { return LinearForm(1); }
  static LinearForm x0() { return LinearForm(2); }
  static LinearForm history(int i) { return LinearForm(3 + static_cast<size_t>(i)); }
  static LinearForm noise() { return LinearForm(kNoise); }

  LinearForm& operator+=(const LinearForm& other) {
    for (size_t i = 0; i < terms_.size(); ++i) terms_[i] += other.terms_[i];
    return *this;
  }
  LinearForm& operator*=(double factor) {
    for (double& term : terms_) term *= factor;
    return *this;
  }
  friend LinearForm operator+(LinearForm a, const LinearForm& b) { return a += b; }
  friend LinearForm operator*(double factor, LinearForm a) { return a *= factor; }
  friend LinearForm operator-(LinearForm a, const LinearForm& b) { return a += -1 * b; }

  SamplerWeights<double> weights() const {
    return {terms_[0], terms_[1], terms_[2], {terms_[3], terms_[4], terms_[5]}};
  }
  double noise_weight() const { return terms_[kNoise]; }

 private:
  static constexpr size_t kNoise = 3 + kSamplerHistory;
  explicit LinearForm(size_t term) { terms_[term] = 1; }

  std::array<double, kNoise + 1> terms_{};
};

}  // namespace ddpm
