// The sigmoid and SiLU (Elfwing et al. 2018), x sigmoid(x), with its derivative.
#pragma once

#include <cmath>

namespace ddpm::reference {

inline double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

inline double silu(double x) { return x * sigmoid(x); }

inline double silu_derivative(double x) { return sigmoid(x) * (1 + x * (1 - sigmoid(x))); }

}  // namespace ddpm::reference
