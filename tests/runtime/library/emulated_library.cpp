// Plain-loop primitives and emulated kernels.
#include "tests/runtime/library/library_under_test.h"

namespace ddpm {

template <typename T>
ComposedProducts<T> products_under_test(const LoweringOptions& options, Fusion fusion) {
  return {std::make_unique<PlainLibrary>(fusion), options};
}

template ComposedProducts<float> products_under_test(const LoweringOptions&, Fusion);
template ComposedProducts<BFloat16> products_under_test(const LoweringOptions&, Fusion);

double summation_error(double) { return 0; }  // they add in double

}  // namespace ddpm
