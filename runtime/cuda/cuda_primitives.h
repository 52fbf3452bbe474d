// Convolutions by cuDNN and matrix products by cuBLASLt, with one plan for each problem and one workspace for
// all. Depends on runtime/cuda/{convolution,matrix}_plan.h, plan_trials.h and cuda_products.h.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "kernels/device/memory.h"
#include "runtime/cuda/convolution_plan.h"
#include "runtime/cuda/cuda_products.h"
#include "runtime/cuda/matrix_plan.h"
#include "runtime/cuda/plan_trials.h"
#include "runtime/products/plan_choice.h"
#include "runtime/products/primitives.h"

namespace ddpm {

class CudaPrimitives final : public ProductPrimitives {
 public:
  explicit CudaPrimitives(const CudaProductsOptions& options);

  void prepare(const ProductProblems& problems, StreamView stream) override;
  bool fuses(const ConvolutionProblem& wish) const override;
  bool fuses(const MatrixProblem& wish) const override;
  void convolution(const ConvolutionProblem& problem, const ConvolutionTensors& tensors,
                   StreamView stream) override;
  void matrix_product(const MatrixProblem& problem, const MatrixTensors& tensors, StreamView stream) override;

 private:
  // What plans are chosen by; timer may be null.
  struct Choosing {
    PlanCache& cache;
    PlanTrials& trials;
    WorkTimer* timer;
  };
  void choose_plans(const ProductProblems& problems, StreamView stream);
  void announce(const ProductProblems& problems, PlanCache& cache) const;
  std::string cache_key(const MatrixProblem& problem) const;
  void choose_convolution_plans(const std::vector<ConvolutionProblem>& problems, const Choosing& by);
  void choose_matrix_plans(const std::vector<MatrixProblem>& problems, const Choosing& by);

  CudaProductsOptions options_;
  CudnnHandle cudnn_;
  CublasLtHandle cublas_;
  CudnnDevice device_;
  std::vector<std::pair<ConvolutionProblem, ConvolutionPlan>> convolutions_;
  std::vector<std::pair<MatrixProblem, MatrixPlan>> matrices_;
  DeviceBuffer<std::byte> workspace_;
};

}  // namespace ddpm
