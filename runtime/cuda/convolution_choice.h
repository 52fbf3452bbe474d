// Which of cuDNN's plans computes a convolution. Depends on runtime/cuda/convolution_plan.h and
// runtime/products/plan_choice.h.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "runtime/cuda/convolution_plan.h"
#include "runtime/products/plan_choice.h"

namespace ddpm {

class ConvolutionChooser {
 public:
  // timer may be null: nothing is measured and the first proposal taken. All must outlive this object.
  ConvolutionChooser(const CudnnDevice& device, const PlanLimits& limits, PlanCache& cache, WorkTimer* timer);

  // run(plan) runs it on some tensors; false where cuDNN refuses. InputError, which names the convolution,
  // where cuDNN has no plan for it within the limits.
  ConvolutionPlan choose(const ConvolutionProblem& problem,
                         const std::function<bool(const ConvolutionPlan&)>& run);

  // The plan for a problem with a bias that is faster than the steps that do without; none: the steps are, or
  // nothing is measured.
  std::optional<ConvolutionPlan> choose_fused(const ConvolutionProblem& wish,
                                              const std::function<bool(const ConvolutionPlan&)>& run,
                                              const std::function<bool()>& run_steps);

  // What the cache knows the problem by: device, version of cuDNN, limits, convolution.
  std::string cache_key(const ConvolutionProblem& problem) const;

 private:
  PlanSource<ConvolutionPlan> source(const ConvolutionProblem& problem,
                                     const std::function<bool(const ConvolutionPlan&)>& run) const;

  const CudnnDevice& device_;
  PlanLimits limits_;
  PlanCache& cache_;
  WorkTimer* timer_;
};

}  // namespace ddpm
