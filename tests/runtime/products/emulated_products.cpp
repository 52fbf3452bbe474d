// Plain-loop primitives and emulated kernels.
#include "runtime/products/plain_primitives.h"
#include "tests/runtime/products/products_under_test.h"

namespace ddpm {

template <typename T>
ComposedProducts<T> products_under_test(const ComposedProductsOptions& options) {
  return {std::make_unique<PlainPrimitives>(), options};
}

template ComposedProducts<float> products_under_test(const ComposedProductsOptions&);
template ComposedProducts<BFloat16> products_under_test(const ComposedProductsOptions&);

double summation_error(double) { return 0; }  // they add in double

}  // namespace ddpm
