// Options for cuDNN and cuBLASLt, without their headers.
#pragma once

#include <filesystem>
#include <memory>

#include "runtime/gpu_options.h"
#include "runtime/library/plan_cache.h"
#include "runtime/library/vendor_library.h"

namespace ddpm {

struct CudaLibraryOptions {
  PlanLimits limits{};
  PlanChoice choice = PlanChoice::kMeasured;
  PlanCheck check = PlanCheck::kRefuse;
  // Empty: every run measures again, and two runs may differ in the last bits.
  std::filesystem::path plan_cache = default_plan_cache_file();
  LogLine log{};
};

// The user's options as library options. Plans that are not measured are not cached.
CudaLibraryOptions cuda_library_options(const GpuOptions& options, const LogLine& log);

// For the current CUDA device. CudnnError or CublasError if there is none.
std::unique_ptr<VendorLibrary> make_cuda_library(const CudaLibraryOptions& options = {});

}  // namespace ddpm
