// Convolutions by cuDNN and matrix products by cuBLASLt, with one plan for each problem and one workspace
// for all.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "device/memory.h"
#include "runtime/library/convolution_plan.h"
#include "runtime/library/cuda_products.h"
#include "runtime/library/matrix_plan.h"
#include "runtime/library/plan_choice.h"
#include "runtime/library/plan_trials.h"
#include "runtime/library/primitives.h"

namespace ddpm {

class CudaPrimitives final : public ProductPrimitives {
 public:
  explicit CudaPrimitives(const CudaProductsOptions& options);

  void prepare(const ProductProblems& problems, StreamView stream) override;
  bool fuses(const ConvolutionProblem& wish) const override;
  bool fuses(const MatrixProblem& wish) const override;
  bool measures() const override { return options_.choice == PlanChoice::kMeasured; }
  std::optional<size_t> known_way(const Ways& ways) const override;
  size_t fastest_way(const Ways& ways, const std::function<void(size_t)>& run, StreamView stream) override;
  void convolution(const ConvolutionProblem& problem, const ConvolutionTensors& tensors,
                   StreamView stream) override;
  void matrix_product(const MatrixProblem& problem, const MatrixTensors& tensors, StreamView stream) override;

 private:
  void choose_plans(const ProductProblems& problems, StreamView stream);
  void announce(const ProductProblems& problems) const;
  std::string cache_key(const MatrixProblem& problem) const;
  Ways of_this_machine(const Ways& ways) const;
  void choose_convolution_plans(const std::vector<ConvolutionProblem>& problems, PlanTrials& trials,
                                const PlanChoosing& by);
  void choose_matrix_plans(const std::vector<MatrixProblem>& problems, PlanTrials& trials,
                           const PlanChoosing& by);

  CudaProductsOptions options_;
  CudnnHandle cudnn_;  // outlives the plans
  CublasLtHandle cublas_;
  CudnnDevice device_;
  std::string machine_;  // device and driver, for the cache's keys
  PlanCache cache_;
  std::vector<std::pair<ConvolutionProblem, ConvolutionPlan>> convolutions_;
  std::vector<std::pair<MatrixProblem, MatrixPlan>> matrices_;
  DeviceBuffer<std::byte> workspace_;
};

}  // namespace ddpm
