// Plain-loop primitives and emulated kernels.
#include "runtime/products/plain_primitives.h"
#include "tests/runtime/products/products_under_test.h"

namespace ddpm {

template <typename T>
std::unique_ptr<GpuProducts<T>> products_under_test(const ComposedProductsOptions& options) {
  return std::make_unique<ComposedProducts<T>>(std::make_unique<PlainPrimitives>(), options);
}

template std::unique_ptr<GpuProducts<float>> products_under_test(const ComposedProductsOptions&);
template std::unique_ptr<GpuProducts<BFloat16>> products_under_test(const ComposedProductsOptions&);

double summation_error(double) { return 0; }  // they add in double

}  // namespace ddpm
