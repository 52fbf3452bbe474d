// Runs plans on tensors of their own, to be measured and checked.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "device/memory.h"
#include "runtime/library/convolution_plan.h"
#include "runtime/library/gemm_plan.h"
#include "runtime/library/trial_values.h"

namespace ddpm {

// Memory is taken when trials begin, enough for every problem: where all plans are in the cache, none is.
class TrialRuns {
 public:
  // All must outlive this object.
  TrialRuns(const LibraryProblems& problems, const PlanLimits& limits, StreamView stream);

  // To be called before each problem's first run. Puts random values in place of what was computed: sums of
  // sums of thousands of products would soon be infinite, and a GPU computes with infinities as with no other
  // values.
  void begin();

  // Asynchronous on the stream; false where the library refuses.
  bool run(const CudnnHandle& handle, const ConvolutionProblem& problem, const ConvolutionPlan& plan);
  bool run(const CublasLtHandle& handle, const GemmPlan& plan);
  // What a problem with a bias is done by in steps: our kernel, then a plan that adds to what it wrote.
  bool run_unfused(const CudnnHandle& handle, const ConvolutionProblem& fused, const ConvolutionPlan& adds);
  bool run_unfused(const CublasLtHandle& handle, const GemmProblem& fused, const GemmPlan& adds);

  // What is wrong with the plan's results (ResultCheck), from run to run with other remains in the
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
