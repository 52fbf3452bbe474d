// Runs plans on trial tensors, to measure and check them.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "device/memory.h"
#include "runtime/library/convolution_plan.h"
#include "runtime/library/gemm_plan.h"
#include "runtime/library/trial_values.h"

namespace ddpm {

// Allocates memory for the largest problems when trials begin; none if all plans are cached.
class TrialRuns {
 public:
  // All arguments must outlive this object.
  TrialRuns(const LibraryProblems& problems, const PlanLimits& limits, StreamView stream);

  // Call before each problem's first run. Refills the tensors with random values: repeated accumulation would
  // soon overflow to infinity, and a GPU's timing depends on the values.
  void begin();

  // Asynchronous on the stream; false if the library rejects the plan.
  bool run(const CudnnHandle& handle, const ConvolutionProblem& problem, const ConvolutionPlan& plan);
  bool run(const CublasLtHandle& handle, const GemmPlan& plan);
  // The unfused alternative of a problem with a bias: our kernel, then a plan that accumulates on its output.
  bool run_unfused(const CudnnHandle& handle, const ConvolutionProblem& fused, const ConvolutionPlan& adds);
  bool run_unfused(const CublasLtHandle& handle, const GemmProblem& fused, const GemmPlan& adds);

  // What is wrong with the plan's results (ResultCheck). The two runs start with different contents of the
  // workspace, which all plans share.
  std::optional<std::string> find_fault(const CudnnHandle& handle, const ConvolutionProblem& problem,
                                        const ConvolutionPlan& plan);
  std::optional<std::string> find_fault(const CublasLtHandle& handle, const GemmProblem& problem,
                                        const GemmPlan& plan);

 private:
  struct Memory {
    DeviceBuffer<std::byte> tensors[4];  // x or a, w or b, y or d, a residual
    DeviceBuffer<std::byte> bias;
    DeviceBuffer<std::byte> workspace;
    TrialValues values;
  };
  const Memory& memory() const;
  void renew_tensors() const;
  void soil_workspace(int run) const;
  ConvolutionTensors tensors_of(const ConvolutionProblem& problem) const;
  GemmTensors matrix_tensors() const;

  const LibraryProblems& problems_;
  PlanLimits limits_;
  StreamView stream_;
  std::optional<Memory> memory_;
};

}  // namespace ddpm
