// Plain-loop primitives and emulated kernels.
#include "tests/runtime/library/products_under_test.h"

namespace ddpm {

template <typename T>
ComposedProducts<T> products_under_test(const ComposedProductsOptions& options, Fusion fusion) {
  return {std::make_unique<PlainPrimitives>(fusion), options};
}

template ComposedProducts<float> products_under_test(const ComposedProductsOptions&, Fusion);
template ComposedProducts<BFloat16> products_under_test(const ComposedProductsOptions&, Fusion);

double summation_error(double) { return 0; }  // they add in double

}  // namespace ddpm
