#include "runtime/cuda/cuda_products.h"

#include "runtime/cuda/cuda_primitives.h"

namespace ddpm {

template <typename T>
std::unique_ptr<GpuProducts<T>> make_cuda_products(const CudaProductsOptions& options) {
  return std::make_unique<ComposedProducts<T>>(std::make_unique<CudaPrimitives>(options),
                                               options.composition);
}

template std::unique_ptr<GpuProducts<float>> make_cuda_products(const CudaProductsOptions&);
template std::unique_ptr<GpuProducts<BFloat16>> make_cuda_products(const CudaProductsOptions&);

}  // namespace ddpm
