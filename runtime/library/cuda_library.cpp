#include "runtime/library/cuda_library.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "device/cuda_check.h"
#include "runtime/library/cold_timer.h"
#include "runtime/library/convolution_autotuner.h"
#include "runtime/library/driver_version.h"
#include "support/error.h"

namespace ddpm {
namespace {

size_t l2_cache_bytes() {
  int device = 0, bytes = 0;
  DDPM_CUDA_CHECK(cudaGetDevice(&device));
  DDPM_CUDA_CHECK(cudaDeviceGetAttribute(&bytes, cudaDevAttrL2CacheSize, device));
  return static_cast<size_t>(bytes);
}

template <typename Problem, typename Plan>
auto find_plan(const std::vector<std::pair<Problem, Plan>>& plans, const Problem& problem) {
  return std::find_if(plans.begin(), plans.end(), [&](const auto& known) { return known.first == problem; });
}

template <typename Problem, typename Plan>
const Plan& plan_of(const std::vector<std::pair<Problem, Plan>>& plans, const Problem& problem) {
  const auto found = find_plan(plans, problem);
  DDPM_CHECK(found != plans.end());  // otherwise prepare() did not get this problem
  return found->second;
}

// The plan chosen for an earlier program, measured and checked in this process; the
// cache could only rebuild it.
template <typename Problem, typename Plan>
std::optional<Plan> taken_plan(std::vector<std::pair<Problem, Plan>>& plans, const Problem& problem) {
  const auto found =
      std::find_if(plans.begin(), plans.end(), [&](const auto& known) { return known.first == problem; });
  if (found == plans.end()) return std::nullopt;
  std::optional<Plan> plan(std::move(found->second));
  plans.erase(found);
  return plan;
}

}  // namespace

CudaLibrary::CudaLibrary(const CudaLibraryOptions& options)
    : options_(options),
      device_(CudnnDevice::present(cudnn_.get())),
      machine_(fmt::format("{} driver {}", device_.name(), driver_version())),
      cache_(options.plan_cache, options.log),
      workspace_(0) {}

void CudaLibrary::prepare(const LibraryProblems& problems, StreamView stream) {
  workspace_ = DeviceBuffer<std::byte>(0);  // trials have a workspace of their own
  choose_plans(problems, stream);
  int64_t bytes = 0;
  for (const auto& [problem, plan] : convolutions_) bytes = std::max(bytes, plan.workspace_bytes());
  for (const auto& [problem, plan] : gemms_) bytes = std::max(bytes, plan.workspace_bytes());
  workspace_ = DeviceBuffer<std::byte>(static_cast<size_t>(bytes));
}

void CudaLibrary::choose_plans(const LibraryProblems& problems, StreamView stream) {
  DDPM_CUDNN_CHECK(cudnnSetStream(cudnn_.get(), stream.get()));
  TrialRuns trials(problems, options_.limits, stream);
  PlanStatistics statistics;
  std::optional<ColdTimer> clock;
  if (measures()) clock.emplace(stream, l2_cache_bytes());
  const PlanChoosing by{cache_, clock ? &*clock : nullptr, statistics, options_.check};

  if (measures()) announce(problems);
  try {
    choose_convolution_plans(problems.convolutions, trials, by);
    choose_gemm_plans(problems.gemms, trials, by);
  } catch (...) {
    cache_.save();  // keep the choices so far
    throw;
  }
  cache_.save();
  stream.synchronize();  // before the trials' memory is freed
  if (statistics.proposed > 0 && options_.log) options_.log(to_string(statistics));
}

std::string CudaLibrary::cache_key(const GemmProblem& problem) const {
  return fmt::format("{} cublasLt {} {}: {}", machine_, cublasLtGetVersion(), to_string(options_.limits),
                     to_string(problem));
}

void CudaLibrary::announce(const LibraryProblems& problems) const {
  std::vector<std::string> keys;
  for (const ConvolutionProblem& problem : problems.convolutions)
    keys.push_back(convolution_key(machine_, options_.limits, problem));
  for (const GemmProblem& problem : problems.gemms) keys.push_back(cache_key(problem));
  cache_.announce(keys);
}

void CudaLibrary::choose_convolution_plans(const std::vector<ConvolutionProblem>& problems, TrialRuns& trials,
                                           const PlanChoosing& by) {
  ConvolutionAutotuner autotuner(device_, machine_, options_.limits, by);
  const auto trials_of = [&](const ConvolutionProblem& problem) -> ConvolutionTrials {
    return {
        .begin = [&] { trials.begin(); },
        .run = [&](const ConvolutionPlan& plan) { return trials.run(cudnn_, problem, plan); },
        .find_fault = [&](const ConvolutionPlan& plan) { return trials.find_fault(cudnn_, problem, plan); }};
  };
  auto earlier = std::exchange(convolutions_, {});
  for (const ConvolutionProblem& problem : problems) {
    if (problem.bias) continue;
    std::optional<ConvolutionPlan> plan = taken_plan(earlier, problem);
    convolutions_.emplace_back(problem,
                               plan ? *std::move(plan) : autotuner.choose(problem, trials_of(problem)));
  }
  for (const ConvolutionProblem& fused : problems) {
    if (!fused.bias) continue;
    if (auto plan = taken_plan(earlier, fused)) {
      convolutions_.emplace_back(fused, *std::move(plan));
      continue;
    }
    const auto run_unfused = [&] {
      return trials.run_unfused(cudnn_, fused, plan_of(convolutions_, without_bias(fused)));
    };
    if (auto plan = autotuner.choose_fused(fused, trials_of(fused), run_unfused))
      convolutions_.emplace_back(fused, *std::move(plan));
  }
}

void CudaLibrary::choose_gemm_plans(const std::vector<GemmProblem>& problems, TrialRuns& trials,
                                    const PlanChoosing& by) {
  const auto source = [&](const GemmProblem& problem) -> PlanSource<GemmPlan> {
    // One call returns all of cuBLASLt's proposals, and they cost nothing to build.
    const auto propose = [&]() -> Proposals<GemmPlan> {
      std::vector<GemmPlan> plans = gemm_plans(cublas_, problem, options_.limits);
      by.statistics.proposed += static_cast<int64_t>(plans.size());
      by.statistics.built += static_cast<int64_t>(plans.size());
      return [plans = std::move(plans), next = size_t{0}]() mutable {
        return next < plans.size() ? std::optional(plans[next++]) : std::nullopt;
      };
    };
    return {.restore =
                [&](const std::string& tag) {
                  return restored_gemm_plan(cublas_, problem, tag, options_.limits);
                },
            .propose = propose,
            .begin_trials = [&] { trials.begin(); },
            .run = [&](const GemmPlan& plan) { return trials.run(cublas_, plan); },
            .find_fault = [&](const GemmPlan& plan) { return trials.find_fault(cublas_, problem, plan); }};
  };
  auto earlier = std::exchange(gemms_, {});
  for (const GemmProblem& problem : problems) {
    if (problem.bias) continue;
    std::optional<GemmPlan> plan = taken_plan(earlier, problem);
    if (!plan) plan = choose_plan(source(problem), cache_key(problem), by);
    if (!plan)
      throw_input("cuBLASLt {} has no plan for the GEMM {} within {}{}: raise --workspace-mb",
                  cublasLtGetVersion(), to_string(problem), to_string(options_.limits),
                  refused_text(cache_.refused_plans(cache_key(problem))));
    gemms_.emplace_back(problem, *std::move(plan));
  }
  for (const GemmProblem& fused : problems) {
    if (!fused.bias) continue;
    if (auto plan = taken_plan(earlier, fused)) {
      gemms_.emplace_back(fused, *std::move(plan));
      continue;
    }
    const GemmPlan adds = plan_of(gemms_, without_bias(fused));
    std::optional<GemmPlan> plan =
        choose_fused_plan<GemmPlan>({.fused = source(fused),
                                     .run_unfused = [&] { return trials.run_unfused(cublas_, fused, adds); },
                                     .unmeasured = Unmeasured::kFuse},  // same kernels, fewer bytes
                                    cache_key(fused), by);
    if (plan) gemms_.emplace_back(fused, *std::move(plan));
  }
}

Ways CudaLibrary::of_this_machine(const Ways& ways) const {
  return {fmt::format("{} cudnn {} cublasLt {} {}: {}", machine_, cudnnGetVersion(), cublasLtGetVersion(),
                      to_string(options_.limits), ways.key),
          ways.names};
}

std::optional<size_t> CudaLibrary::known_way(const Ways& ways) const {
  return kept_way(of_this_machine(ways), cache_);
}

size_t CudaLibrary::fastest_way(const Ways& ways, const std::function<void(size_t)>& run, StreamView stream) {
  DDPM_CHECK(measures());
  ColdTimer clock(stream, l2_cache_bytes());
  PlanStatistics statistics;
  const size_t fastest = choose_way(of_this_machine(ways), run, {cache_, &clock, statistics});
  cache_.save();
  return fastest;
}

bool CudaLibrary::fuses(const ConvolutionProblem& fused) const {
  return find_plan(convolutions_, fused) != convolutions_.end();
}
bool CudaLibrary::fuses(const GemmProblem& fused) const { return find_plan(gemms_, fused) != gemms_.end(); }

LaunchFunction CudaLibrary::bind(const ConvolutionProblem& problem, const ConvolutionTensors& tensors) {
  const ConvolutionPlan& plan = plan_of(convolutions_, problem);
  return [this, &plan, tensors](StreamView stream) {
    DDPM_CUDNN_CHECK(cudnnSetStream(cudnn_.get(), stream.get()));
    plan.run(cudnn_.get(), tensors, workspace_.data());
  };
}

LaunchFunction CudaLibrary::bind(const GemmProblem& problem, const GemmTensors& tensors) {
  const GemmPlan& plan = plan_of(gemms_, problem);
  return [this, &plan, tensors](StreamView stream) { plan.run(cublas_, tensors, workspace_.data(), stream); };
}

}  // namespace ddpm
