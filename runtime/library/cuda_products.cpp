#include "runtime/library/cuda_products.h"

#include "runtime/library/cuda_primitives.h"

namespace ddpm {

CudaProductsOptions cuda_products_options(const GpuOptions& options, const LogLine& log) {
  return {.composition = {.upsample = options.upsample},
          .limits = {.workspace_bytes = int64_t{options.workspace_mb} << 20},
          .choice = options.plan_choice,
          .check = options.plan_check,
          .plan_cache = options.plan_choice == PlanChoice::kMeasured ? plan_cache_file(options.plan_cache)
                                                                     : std::filesystem::path(),
          .log = log};
}

template <typename T>
ComposedProducts<T> make_cuda_products(const CudaProductsOptions& options) {
  return {std::make_unique<CudaPrimitives>(options), options.composition};
}

template ComposedProducts<float> make_cuda_products(const CudaProductsOptions&);
template ComposedProducts<BFloat16> make_cuda_products(const CudaProductsOptions&);

}  // namespace ddpm
