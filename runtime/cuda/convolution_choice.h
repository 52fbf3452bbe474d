// Which plan of a convolution is used: the one kept in the cache, or else the fastest, measured, or the one
// that cuDNN's heuristics propose first. Depends on runtime/cuda/convolution_plan.h and
// runtime/products/{fastest,plan_cache}.h.
#pragma once

#include <functional>
#include <string>

#include "runtime/cuda/convolution_plan.h"
#include "runtime/products/fastest.h"
#include "runtime/products/plan_cache.h"

namespace ddpm {

// Runs a plan on some tensors; false where cuDNN refuses.
using RunPlan = std::function<bool(const ConvolutionPlan&)>;

class ConvolutionChooser {
 public:
  // timer may be null: nothing is measured and the first proposal taken. All must outlive this object.
  ConvolutionChooser(const CudnnDevice& device, const PlanLimits& limits, PlanCache& cache, WorkTimer* timer);

  // InputError, which names the convolution, where cuDNN has no plan for it within the limits.
  ConvolutionPlan choose(const ConvolutionProblem& problem, const RunPlan& run);

  // What the cache knows the problem by: device, version of cuDNN, limits, convolution.
  std::string cache_key(const ConvolutionProblem& problem) const;

 private:
  ConvolutionPlan measured(const ConvolutionProblem& problem, const RunPlan& run);

  const CudnnDevice& device_;
  PlanLimits limits_;
  PlanCache& cache_;
  WorkTimer* timer_;
  std::string key_prefix_;
};

}  // namespace ddpm
