#include "runtime/cuda/cuda_products.h"

#include "runtime/cuda/cuda_primitives.h"

namespace ddpm {

template <typename T>
ComposedProducts<T> make_cuda_products(const CudaProductsOptions& options) {
  return {std::make_unique<CudaPrimitives>(options), options.composition};
}

template ComposedProducts<float> make_cuda_products(const CudaProductsOptions&);
template ComposedProducts<BFloat16> make_cuda_products(const CudaProductsOptions&);

}  // namespace ddpm
