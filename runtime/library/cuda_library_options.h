// How cuDNN and cuBLASLt are used; their own headers stay in the .cpp files.
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
  // Empty: plans are measured in every run, and two runs may differ in the last bits.
  std::filesystem::path plan_cache = default_plan_cache_file();
  LogLine log{};
};

// What a user chose, in these terms. Plans that are not measured have no cache.
CudaLibraryOptions cuda_library_options(const GpuOptions& options, const LogLine& log);

// For the current CUDA device. CudnnError or CublasError where there is none.
std::unique_ptr<VendorLibrary> make_cuda_library(const CudaLibraryOptions& options = {});

}  // namespace ddpm
