// Stands in for runtime/cuda/cuda_products.h until that is there: to be deleted then.
#pragma once

#include <memory>

#include "runtime/gpu/products.h"
#include "support/error.h"

namespace ddpm {

struct CudaProductsOptions {};

template <typename T>
std::unique_ptr<GpuProducts<T>> make_cuda_products(const CudaProductsOptions& = {}) {
  throw_input("this build has no convolutions for the GPU");
}

}  // namespace ddpm
