#include "runtime/cuda/cuda_primitives.h"

#include <algorithm>
#include <optional>
#include <string>

#include "kernels/device/cuda_check.h"
#include "runtime/cuda/convolution_choice.h"
#include "runtime/cuda/plan_trials.h"
#include "support/error.h"

namespace ddpm {
namespace {

size_t l2_cache_bytes() {
  int device = 0, bytes = 0;
  DDPM_CUDA_CHECK(cudaGetDevice(&device));
  DDPM_CUDA_CHECK(cudaDeviceGetAttribute(&bytes, cudaDevAttrL2CacheSize, device));
  return static_cast<size_t>(bytes);
}

// What the cache knows the problem by.
std::string cache_key(const MatrixProblem& problem, const PlanLimits& limits, const std::string& device) {
  return fmt::format("{} cublasLt {} {}: {}", device, cublasLtGetVersion(), to_string(limits),
                     to_string(problem));
}

MatrixPlan choose_matrix_plan(const MatrixProblem& problem, const PlanLimits& limits,
                              const PlanSource<MatrixPlan>& source, const std::string& device,
                              PlanCache& cache, WorkTimer* timer) {
  std::optional<MatrixPlan> plan = choose_plan(source, cache_key(problem, limits, device), cache, timer);
  if (!plan)
    throw_input("cuBLASLt {} has no plan for the matrix product {} within {}", cublasLtGetVersion(),
                to_string(problem), to_string(limits));
  return *std::move(plan);
}

template <typename Problem, typename Plan>
const Plan& plan_of(const std::vector<std::pair<Problem, Plan>>& plans, const Problem& problem) {
  const auto found =
      std::find_if(plans.begin(), plans.end(), [&](const auto& known) { return known.first == problem; });
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

  ConvolutionChooser chooser(device_, options_.limits, cache, timer);
  if (timer != nullptr) {
    std::vector<std::string> keys;
    for (const ConvolutionProblem& problem : problems.convolutions)
      keys.push_back(chooser.cache_key(problem));
    for (const MatrixProblem& problem : problems.matrices)
      keys.push_back(cache_key(problem, options_.limits, device_.name()));
    cache.announce(keys);
  }
  convolutions_.clear();
  for (const ConvolutionProblem& problem : problems.convolutions)
    convolutions_.emplace_back(problem, chooser.choose(problem, [&](const ConvolutionPlan& plan) {
      return trials.run(cudnn_, plan);
    }));
  matrices_.clear();
  for (const MatrixProblem& problem : problems.matrices) {
    const PlanSource<MatrixPlan> source{
        .restore =
            [&](const std::string& tag) {
              return restored_matrix_plan(cublas_, problem, tag, options_.limits);
            },
        .propose = [&] { return matrix_plans(cublas_, problem, options_.limits); },
        .run = [&](const MatrixPlan& plan) { return trials.run(cublas_, plan); }};
    matrices_.emplace_back(
        problem, choose_matrix_plan(problem, options_.limits, source, device_.name(), cache, timer));
  }
  cache.save();
  stream.synchronize();  // the trials' memory is given back
}

void CudaPrimitives::convolution(const ConvolutionProblem& problem, const ConvolutionTensors& tensors,
                                 StreamView stream) {
  DDPM_CUDNN_CHECK(cudnnSetStream(cudnn_.get(), stream.get()));
  plan_of(convolutions_, problem).run(cudnn_.get(), tensors.x, tensors.w, tensors.y, workspace_.data());
}

void CudaPrimitives::matrix_product(const MatrixProblem& problem, const void* a, const void* b, void* c,
                                    StreamView stream) {
  plan_of(matrices_, problem).run(cublas_, a, b, c, workspace_.data(), stream);
}

}  // namespace ddpm
