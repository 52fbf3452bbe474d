#include "runtime/cuda/cuda_primitives.h"

#include <algorithm>
#include <optional>
#include <string>

#include "kernels/device/cuda_check.h"
#include "runtime/cuda/convolution_choice.h"
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
  DDPM_CHECK(found != plans.end());  // else prepare() did not see this problem
  return found->second;
}

}  // namespace

CudaPrimitives::CudaPrimitives(const CudaProductsOptions& options)
    : options_(options), device_(CudnnDevice::present(cudnn_.get())), workspace_(0) {}

void CudaPrimitives::prepare(const ProductProblems& problems, StreamView stream) {
  choose_plans(problems, stream);
  int64_t bytes = 0;
  for (const auto& [problem, plan] : convolutions_) bytes = std::max(bytes, plan.workspace_bytes());
  for (const auto& [problem, plan] : matrices_) bytes = std::max(bytes, plan.workspace_bytes());
  workspace_ = DeviceBuffer<std::byte>(static_cast<size_t>(bytes));
}

void CudaPrimitives::choose_plans(const ProductProblems& problems, StreamView stream) {
  DDPM_CUDNN_CHECK(cudnnSetStream(cudnn_.get(), stream.get()));
  PlanCache cache(options_.plan_cache, options_.log);
  PlanTrials trials(problems, options_.limits, stream);
  std::optional<ColdTimer> clock;
  if (options_.choice == PlanChoice::kMeasured) clock.emplace(stream, l2_cache_bytes());
  WorkTimer* timer = clock ? &*clock : nullptr;

  if (timer != nullptr) announce(problems, cache);
  choose_convolution_plans(problems.convolutions, {cache, trials, timer});
  choose_matrix_plans(problems.matrices, {cache, trials, timer});
  cache.save();
  stream.synchronize();  // the trials' memory is given back
}

std::string CudaPrimitives::cache_key(const MatrixProblem& problem) const {
  return fmt::format("{} cublasLt {} {}: {}", device_.name(), cublasLtGetVersion(),
                     to_string(options_.limits), to_string(problem));
}

void CudaPrimitives::announce(const ProductProblems& problems, PlanCache& cache) const {
  const ConvolutionChooser chooser(device_, options_.limits, cache, nullptr);
  std::vector<std::string> keys;
  for (const ConvolutionProblem& problem : problems.convolutions) keys.push_back(chooser.cache_key(problem));
  for (const MatrixProblem& problem : problems.matrices) keys.push_back(cache_key(problem));
  cache.announce(keys);
}

void CudaPrimitives::choose_convolution_plans(const std::vector<ConvolutionProblem>& problems,
                                              const Choosing& by) {
  ConvolutionChooser chooser(device_, options_.limits, by.cache, by.timer);
  const auto run = [&](const ConvolutionProblem& problem) {
    return
        [this, &by, &problem](const ConvolutionPlan& plan) { return by.trials.run(cudnn_, problem, plan); };
  };
  convolutions_.clear();
  for (const ConvolutionProblem& problem : problems) {
    if (problem.bias) continue;
    by.trials.renew_tensors();
    convolutions_.emplace_back(problem, chooser.choose(problem, run(problem)));
  }
  for (const ConvolutionProblem& wish : problems) {
    if (!wish.bias) continue;
    by.trials.renew_tensors();
    const auto run_steps = [&] {
      return by.trials.run_steps(cudnn_, wish, plan_of(convolutions_, without_bias(wish)));
    };
    if (auto plan = chooser.choose_fused(wish, run(wish), run_steps))
      convolutions_.emplace_back(wish, *std::move(plan));
  }
}

void CudaPrimitives::choose_matrix_plans(const std::vector<MatrixProblem>& problems, const Choosing& by) {
  const auto source = [&](const MatrixProblem& problem) -> PlanSource<MatrixPlan> {
    return {.restore =
                [&](const std::string& tag) {
                  return restored_matrix_plan(cublas_, problem, tag, options_.limits);
                },
            .propose = [&] { return matrix_plans(cublas_, problem, options_.limits); },
            .run = [&](const MatrixPlan& plan) { return by.trials.run(cublas_, plan); }};
  };
  matrices_.clear();
  for (const MatrixProblem& problem : problems) {
    if (problem.bias) continue;
    by.trials.renew_tensors();
    std::optional<MatrixPlan> plan = choose_plan(source(problem), cache_key(problem), by.cache, by.timer);
    if (!plan)
      throw_input("cuBLASLt {} has no plan for the matrix product {} within {}", cublasLtGetVersion(),
                  to_string(problem), to_string(options_.limits));
    matrices_.emplace_back(problem, *std::move(plan));
  }
  for (const MatrixProblem& wish : problems) {
    if (!wish.bias) continue;
    by.trials.renew_tensors();
    const MatrixPlan adds = plan_of(matrices_, without_bias(wish));
    std::optional<MatrixPlan> plan =
        choose_fused_plan<MatrixPlan>({.fused = source(wish),
                                       .run_steps = [&] { return by.trials.run_steps(cublas_, wish, adds); },
                                       .unmeasured = Unmeasured::kFuse},  // the same kernels, and fewer bytes
                                      cache_key(wish), by.cache, by.timer);
    if (plan) matrices_.emplace_back(wish, *std::move(plan));
  }
}

bool CudaPrimitives::fuses(const ConvolutionProblem& wish) const {
  return find_plan(convolutions_, wish) != convolutions_.end();
}
bool CudaPrimitives::fuses(const MatrixProblem& wish) const {
  return find_plan(matrices_, wish) != matrices_.end();
}

void CudaPrimitives::convolution(const ConvolutionProblem& problem, const ConvolutionTensors& tensors,
                                 StreamView stream) {
  DDPM_CUDNN_CHECK(cudnnSetStream(cudnn_.get(), stream.get()));
  plan_of(convolutions_, problem).run(cudnn_.get(), tensors, workspace_.data());
}

void CudaPrimitives::matrix_product(const MatrixProblem& problem, const MatrixTensors& tensors,
                                    StreamView stream) {
  plan_of(matrices_, problem).run(cublas_, tensors, workspace_.data(), stream);
}

}  // namespace ddpm
