// The products of the GPU executor on a real GPU: ComposedProducts with cuDNN's convolutions and
// cuBLASLt's matrix products.
#pragma once

#include <filesystem>
#include <memory>

#include "runtime/gpu_options.h"
#include "runtime/library/composed_products.h"
#include "runtime/library/plan_cache.h"

namespace ddpm {

struct CudaProductsOptions {
  ComposedProductsOptions composition{};
  PlanLimits limits{};
  PlanChoice choice = PlanChoice::kMeasured;
  PlanCheck check = PlanCheck::kRefuse;
  // Empty: plans are measured in every run, and two runs may differ in the last bits.
  std::filesystem::path plan_cache = default_plan_cache_file();
  LogLine log{};
};

// What a user chose, in these terms. Plans that are not measured have no cache.
CudaProductsOptions cuda_products_options(const GpuOptions& options, const LogLine& log);

// For the current CUDA device. CudnnError or CublasError where there is none.
template <typename T>
ComposedProducts<T> make_cuda_products(const CudaProductsOptions& options = {});

extern template ComposedProducts<float> make_cuda_products(const CudaProductsOptions&);
extern template ComposedProducts<BFloat16> make_cuda_products(const CudaProductsOptions&);

}  // namespace ddpm
