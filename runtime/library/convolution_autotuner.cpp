#include "runtime/library/convolution_autotuner.h"

#include <memory>
#include <utility>

#include "support/error.h"

namespace ddpm {

std::string convolution_key(const std::string& machine, const PlanLimits& limits,
                            const ConvolutionProblem& problem) {
  return fmt::format("{} cudnn {} {}: {}", machine, cudnnGetVersion(), to_string(limits), to_string(problem));
}

std::string refused_text(size_t plans) { return plans == 0 ? "" : fmt::format(" ({} refused)", plans); }

ConvolutionAutotuner::ConvolutionAutotuner(const CudnnDevice& device, const std::string& machine,
                                           const PlanLimits& limits, const PlanChoosing& by)
    : device_(device), machine_(machine), limits_(limits), by_(by) {}

PlanSource<ConvolutionPlan> ConvolutionAutotuner::source(const ConvolutionProblem& problem,
                                                         const ConvolutionTrials& trials) const {
  const auto propose = [this, problem]() -> Proposals<ConvolutionPlan> {
    const auto proposals = std::make_shared<ConvolutionProposals>(device_, problem, limits_);
    return [this, proposals] {
      const int64_t before = proposals->considered();
      std::optional<ConvolutionPlan> plan = proposals->next();
      by_.statistics.proposed += proposals->considered() - before;
      if (plan) ++by_.statistics.built;
      return plan;
    };
  };
  return {.restore =
              [this, problem](const std::string& tag) {
                return restored_convolution_plan(device_, problem, tag, limits_);
              },
          .propose = propose,
          .begin_trials = trials.begin,
          .run = trials.run,
          .find_fault = trials.find_fault};
}

std::optional<ConvolutionPlan> ConvolutionAutotuner::choose_fused(const ConvolutionProblem& fused,
                                                                  const ConvolutionTrials& trials,
                                                                  const std::function<bool()>& run_unfused) {
  // Without a timer do not fuse: cuDNN's engines for fused graphs may lose more time
  // than a pass over y takes.
  return choose_fused_plan<ConvolutionPlan>(
      {.fused = source(fused, trials), .run_unfused = run_unfused, .unmeasured = Unmeasured::kDoNotFuse},
      convolution_key(machine_, limits_, fused), by_);
}

ConvolutionPlan ConvolutionAutotuner::choose(const ConvolutionProblem& problem,
                                             const ConvolutionTrials& trials) {
  const std::string key = convolution_key(machine_, limits_, problem);
  std::optional<ConvolutionPlan> plan = choose_plan(source(problem, trials), key, by_);
  if (plan) return *std::move(plan);
  throw_input(
      "cuDNN {} has no plan for the convolution {} within {}{}: raise --workspace-mb, or change the batch or the "
      "network's channels",
      cudnnGetVersion(), to_string(problem), to_string(limits_), refused_text(by_.cache.refused_plans(key)));
}

}  // namespace ddpm
