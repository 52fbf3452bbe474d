#include "runtime/cuda/convolution_choice.h"

#include <optional>
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

ConvolutionPlan ConvolutionChooser::choose(const ConvolutionProblem& problem,
                                           const std::function<bool(const ConvolutionPlan&)>& run) {
  const PlanSource<ConvolutionPlan> source{
      .restore =
          [&](const std::string& tag) { return restored_convolution_plan(device_, problem, tag, limits_); },
      .propose = [&] { return convolution_plans(device_, problem, limits_); },
      .run = run};
  std::optional<ConvolutionPlan> plan = choose_plan(source, cache_key(problem), cache_, timer_);
  if (!plan)
    throw_input(
        "cuDNN {} has no plan for the convolution {} within {}: allow it more, or change the network's "
        "channels or the batch",
        cudnnGetVersion(), to_string(problem), to_string(limits_));
  return *std::move(plan);
}

}  // namespace ddpm
