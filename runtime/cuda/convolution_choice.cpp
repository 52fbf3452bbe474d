#include "runtime/cuda/convolution_choice.h"

#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "support/error.h"

namespace ddpm {
namespace {

std::string key_prefix(const CudnnDevice& device, const PlanLimits& limits) {
  const auto properties = nlohmann::json::parse(device.json());
  return fmt::format(
      "{} sm_{} cudnn {} workspace {} {}", properties.at("deviceName").get<std::string>(),
      properties.at("deviceVer").get<int>() / 10, cudnnGetVersion(), limits.workspace_bytes,
      limits.nondeterminism == PlanLimits::Nondeterminism::kRefused ? "deterministic" : "any order of sums");
}

[[noreturn]] void refuse(const ConvolutionProblem& problem, const PlanLimits& limits) {
  throw_input(
      "cuDNN {} has no plan for the convolution {} with a workspace of at most {} bytes: allow it more, or "
      "change the network's channels or the batch",
      cudnnGetVersion(), to_string(problem), limits.workspace_bytes);
}

}  // namespace

ConvolutionChooser::ConvolutionChooser(const CudnnDevice& device, const PlanLimits& limits, PlanCache& cache,
                                       WorkTimer* timer)
    : device_(device),
      limits_(limits),
      cache_(cache),
      timer_(timer),
      key_prefix_(key_prefix(device, limits)) {}

std::string ConvolutionChooser::cache_key(const ConvolutionProblem& problem) const {
  return key_prefix_ + ": " + to_string(problem);
}

ConvolutionPlan ConvolutionChooser::choose(const ConvolutionProblem& problem, const RunPlan& run) {
  if (const std::optional<std::string> tag = cache_.find(cache_key(problem)))
    if (std::optional<ConvolutionPlan> plan = restored_convolution_plan(device_, problem, *tag, limits_))
      return *std::move(plan);
  return measured(problem, run);
}

ConvolutionPlan ConvolutionChooser::measured(const ConvolutionProblem& problem, const RunPlan& run) {
  std::vector<ConvolutionPlan> plans = convolution_plans(device_, problem, limits_);
  if (plans.empty()) refuse(problem, limits_);
  if (timer_ == nullptr) return std::move(plans.front());
  const std::optional<size_t> best = fastest(
      plans.size(), [&](size_t i) { return run(plans[i]); }, *timer_);
  if (!best) refuse(problem, limits_);
  cache_.store(cache_key(problem), plans[*best].tag());
  return std::move(plans[*best]);
}

}  // namespace ddpm
