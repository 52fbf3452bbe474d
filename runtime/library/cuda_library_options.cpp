#include "runtime/library/cuda_library_options.h"

#include "runtime/library/cuda_library.h"

namespace ddpm {

CudaLibraryOptions cuda_library_options(const GpuOptions& options, const LogLine& log) {
  return {.limits = {.workspace_bytes = int64_t{options.workspace_mb} << 20},
          .choice = options.plan_choice,
          .check = options.plan_check,
          .plan_cache = options.plan_choice == PlanChoice::kMeasured ? plan_cache_file(options.plan_cache)
                                                                     : std::filesystem::path(),
          .log = log};
}

std::unique_ptr<VendorLibrary> make_cuda_library(const CudaLibraryOptions& options) {
  return std::make_unique<CudaLibrary>(options);
}

}  // namespace ddpm
