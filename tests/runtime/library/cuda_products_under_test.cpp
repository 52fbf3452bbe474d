// cuDNN, cuBLASLt and the kernels on a GPU.
#include "runtime/library/cuda_products.h"
#include "tests/runtime/library/products_under_test.h"

namespace ddpm {

// Measuring would take the time of a whole training step for each of the tests' shapes.
template <typename T>
ComposedProducts<T> products_under_test(const ComposedProductsOptions& options, Fusion) {
  return make_cuda_products<T>(
      {.composition = options, .choice = PlanChoice::kFirstProposed, .plan_cache = {}});
}

template ComposedProducts<float> products_under_test(const ComposedProductsOptions&, Fusion);
template ComposedProducts<BFloat16> products_under_test(const ComposedProductsOptions&, Fusion);

// n - 1 additions in float, in any order, of partial sums below n.
double summation_error(double terms) { return terms * terms * 0x1p-24; }

}  // namespace ddpm
