// Whose primitives the composed products are tested with: each test program defines one. Tests only.
#pragma once

#include <memory>

#include "runtime/gpu/plain_library.h"
#include "runtime/library/lowering.h"

namespace ddpm {

// A library decides for itself what it fuses, whatever is asked for.
template <typename T>
ComposedProducts<T> products_under_test(const LoweringOptions& options, Fusion fusion);

// How far the primitives' sum of that many products, each below 1, may be from the exact one.
double summation_error(double terms);

}  // namespace ddpm
