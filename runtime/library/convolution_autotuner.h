// Chooses a cuDNN plan for each convolution.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "runtime/library/autotuner.h"
#include "runtime/library/convolution_plan.h"

namespace ddpm {

// How to try plans of one problem; see PlanSource.
struct ConvolutionTrials {
  std::function<void()> begin{};
  std::function<bool(const ConvolutionPlan&)> run;  // on trial tensors; false: cuDNN rejects it
  std::function<std::optional<std::string>(const ConvolutionPlan&)> find_fault{};
};

// A convolution's key in the plan cache; machine: the names of device and driver.
std::string convolution_key(const std::string& machine, const PlanLimits& limits,
                            const ConvolutionProblem& problem);

// " (2 refused)"; empty for 0.
std::string refused_text(size_t plans);

class ConvolutionAutotuner {
 public:
  // All references must outlive this object.
  ConvolutionAutotuner(const CudnnDevice& device, const std::string& machine, const PlanLimits& limits,
                       const PlanChoosing& by);

  // InputError, naming the convolution, if no cuDNN plan within the limits gives the right results.
  ConvolutionPlan choose(const ConvolutionProblem& problem, const ConvolutionTrials& trials);

  // The fused plan for a problem with a bias, if it is faster than run_unfused. None without a
  // timer, unless the cache has it.
  std::optional<ConvolutionPlan> choose_fused(const ConvolutionProblem& fused,
                                              const ConvolutionTrials& trials,
                                              const std::function<bool()>& run_unfused);

 private:
  PlanSource<ConvolutionPlan> source(const ConvolutionProblem& problem,
                                     const ConvolutionTrials& trials) const;

  const CudnnDevice& device_;
  std::string machine_;
  PlanLimits limits_;
  PlanChoosing by_;
};

}  // namespace ddpm
