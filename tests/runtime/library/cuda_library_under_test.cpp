// cuDNN, cuBLASLt and the kernels on a GPU.
#include "runtime/library/cuda_library_options.h"
#include "tests/runtime/library/library_under_test.h"

namespace ddpm {

// Measuring would take the time of a whole training step for each of the tests' shapes.
template <typename T>
ComposedProducts<T> products_under_test(const LoweringOptions& options, Fusion) {
  return make_cuda_library<T>(
      {.composition = options, .choice = PlanChoice::kFirstProposed, .plan_cache = {}});
}

template ComposedProducts<float> products_under_test(const LoweringOptions&, Fusion);
template ComposedProducts<BFloat16> products_under_test(const LoweringOptions&, Fusion);

// n - 1 additions in float, in any order, of partial sums below n.
double summation_error(double terms) { return terms * terms * 0x1p-24; }

}  // namespace ddpm
