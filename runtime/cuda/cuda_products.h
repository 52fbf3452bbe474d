// The products of the GPU executor on a real GPU: ComposedProducts with cuDNN's convolutions and cuBLASLt's
// matrix products. Depends on runtime/products/*.h; the libraries stay in the .cpp files.
#pragma once

#include <filesystem>
#include <memory>

#include "runtime/products/composed_products.h"
#include "runtime/products/plan_cache.h"

namespace ddpm {

// How one plan among several is chosen.
enum class PlanChoice : uint8_t {
  kMeasured,       // the fastest on this GPU; kept in the cache, for two measurements may differ
  kFirstProposed,  // by the libraries' heuristics: at once, and always the same
};

struct CudaProductsOptions {
  ComposedProductsOptions composition{};
  PlanLimits limits{};
  PlanChoice choice = PlanChoice::kMeasured;
  // Empty: plans are measured in every run, and two runs may differ in the last bits.
  std::filesystem::path plan_cache = default_plan_cache_file();
  LogLine log{};
};

// For the current CUDA device. CudnnError or CublasError where there is none.
template <typename T>
ComposedProducts<T> make_cuda_products(const CudaProductsOptions& options = {});

extern template ComposedProducts<float> make_cuda_products(const CudaProductsOptions&);
extern template ComposedProducts<BFloat16> make_cuda_products(const CudaProductsOptions&);

}  // namespace ddpm
