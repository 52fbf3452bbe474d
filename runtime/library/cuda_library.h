// cuDNN for convolutions and cuBLASLt for GEMMs: one plan per problem, and one workspace for all.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "device/memory.h"
#include "runtime/library/autotuner.h"
#include "runtime/library/convolution_plan.h"
#include "runtime/library/cuda_library_options.h"
#include "runtime/library/gemm_plan.h"
#include "runtime/library/trial_runs.h"
#include "runtime/library/vendor_library.h"

namespace ddpm {

class CudaLibrary final : public VendorLibrary {
 public:
  explicit CudaLibrary(const CudaLibraryOptions& options);

  void prepare(const LibraryProblems& problems, StreamView stream) override;
  bool fuses(const ConvolutionProblem& fused) const override;
  bool fuses(const GemmProblem& fused) const override;
  LaunchFunction bind(const ConvolutionProblem& problem, const ConvolutionTensors& tensors) override;
  LaunchFunction bind(const GemmProblem& problem, const GemmTensors& tensors) override;
  bool measures() const override { return options_.choice == PlanChoice::kMeasured; }
  std::optional<size_t> known_way(const Ways& ways) const override;
  size_t fastest_way(const Ways& ways, const std::function<void(size_t)>& run, StreamView stream) override;

 private:
  void choose_plans(const LibraryProblems& problems, StreamView stream);
  void announce(const LibraryProblems& problems) const;
  std::string cache_key(const GemmProblem& problem) const;
  Ways of_this_machine(const Ways& ways) const;
  void choose_convolution_plans(const std::vector<ConvolutionProblem>& problems, TrialRuns& trials,
                                const PlanChoosing& by);
  void choose_gemm_plans(const std::vector<GemmProblem>& problems, TrialRuns& trials, const PlanChoosing& by);

  CudaLibraryOptions options_;
  CudnnHandle cudnn_;  // must outlive the plans
  CublasLtHandle cublas_;
  CudnnDevice device_;
  std::string machine_;  // device and driver, for the cache's keys
  PlanCache cache_;
  std::vector<std::pair<ConvolutionProblem, ConvolutionPlan>> convolutions_;
  std::vector<std::pair<GemmProblem, GemmPlan>> gemms_;
  DeviceBuffer<std::byte> workspace_;
};

}  // namespace ddpm
