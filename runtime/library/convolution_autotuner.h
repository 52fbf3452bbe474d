// Which of cuDNN's plans computes a convolution.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "runtime/library/autotuner.h"
#include "runtime/library/convolution_plan.h"

namespace ddpm {

// How plans of one problem are tried, as in PlanSource.
struct ConvolutionTrials {
  std::function<void()> begin{};
  std::function<bool(const ConvolutionPlan&)> run;  // on some tensors; false where cuDNN refuses
  std::function<std::optional<std::string>(const ConvolutionPlan&)> find_fault{};
};

// What the cache knows a convolution by; machine: the names of device and driver.
std::string convolution_key(const std::string& machine, const PlanLimits& limits,
                            const ConvolutionProblem& problem);

// " (2 refused)", nothing for 0.
std::string refused_text(size_t plans);

class ConvolutionAutotuner {
 public:
  // All references must outlive this object.
  ConvolutionAutotuner(const CudnnDevice& device, const std::string& machine, const PlanLimits& limits,
                       const PlanChoosing& by);

  // InputError, which names the convolution, where cuDNN has no plan for it within the limits that computes
  // what it should.
  ConvolutionPlan choose(const ConvolutionProblem& problem, const ConvolutionTrials& trials);

  // The plan for a problem with a bias that is faster than the steps that do without; none: the steps are, or
  // nothing is measured.
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
