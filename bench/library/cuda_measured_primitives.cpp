#include "bench/library/measured_primitives.h"
#include "runtime/library/cuda_primitives.h"

namespace ddpm {

std::unique_ptr<ProductPrimitives> measured_primitives() {
  return std::make_unique<CudaPrimitives>(CudaProductsOptions{});
}

}  // namespace ddpm
