#include "runtime/cuda/convolution_choice.h"

#include <utility>

#include "support/error.h"

namespace ddpm {

ConvolutionChooser::ConvolutionChooser(const CudnnDevice& device, const PlanLimits& limits, PlanCache& cache,
                                       WorkTimer* timer)
    : device_(device), limits_(limits), cache_(cache), timer_(timer) {}

std::string ConvolutionChooser::cache_key(const ConvolutionProblem& problem) const {
  return fmt::format("{} cudnn {} {}: {}", device_.name(), cudnnGetVersion(), to_string(limits_),
                     to_string(problem));
}

PlanSource<ConvolutionPlan> ConvolutionChooser::source(
    const ConvolutionProblem& problem, const std::function<bool(const ConvolutionPlan&)>& run) const {
  return {.restore =
              [this, problem](const std::string& tag) {
                return restored_convolution_plan(device_, problem, tag, limits_);
              },
          .propose = [this, problem] { return convolution_plans(device_, problem, limits_); },
          .run = run};
}

std::optional<ConvolutionPlan> ConvolutionChooser::choose_fused(
    const ConvolutionProblem& wish, const std::function<bool(const ConvolutionPlan&)>& run,
    const std::function<bool()>& run_steps) {
  // cuDNN has other engines for it, which may be slower than the steps by more than a pass takes.
  return choose_fused_plan<ConvolutionPlan>(
      {.fused = source(wish, run), .run_steps = run_steps, .unmeasured = Unmeasured::kDoNotFuse},
      cache_key(wish), cache_, timer_);
}

ConvolutionPlan ConvolutionChooser::choose(const ConvolutionProblem& problem,
                                           const std::function<bool(const ConvolutionPlan&)>& run) {
  std::optional<ConvolutionPlan> plan = choose_plan(source(problem, run), cache_key(problem), cache_, timer_);
  if (!plan)
    throw_input(
        "cuDNN {} has no plan for the convolution {} within {}: allow it more, or change the network's "
        "channels or the batch",
        cudnnGetVersion(), to_string(problem), to_string(limits_));
  return *std::move(plan);
}

}  // namespace ddpm
