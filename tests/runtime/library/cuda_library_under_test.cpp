// cuDNN, cuBLASLt and the kernels on a GPU.
#include "runtime/library/cuda_library_options.h"
#include "tests/runtime/library/library_under_test.h"

namespace ddpm {

// Measuring would take the time of a whole training step for each of the tests' shapes.
std::unique_ptr<VendorLibrary> library_under_test(Fusion) {
  return make_cuda_library({.choice = PlanChoice::kFirstProposed, .plan_cache = {}});
}

// n - 1 additions in float, in any order, of partial sums below n.
double summation_error(double terms) { return terms * terms * 0x1p-24; }

}  // namespace ddpm
