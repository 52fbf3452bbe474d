// Convolutions by cuDNN and matrix products by cuBLASLt, with one plan for each problem and one workspace for
// all. Depends on runtime/cuda/{convolution,matrix}_plan.h and cuda_products.h.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "kernels/device/memory.h"
#include "runtime/cuda/convolution_plan.h"
#include "runtime/cuda/cuda_products.h"
#include "runtime/cuda/matrix_plan.h"
#include "runtime/products/primitives.h"

namespace ddpm {

class CudaPrimitives final : public ProductPrimitives {
 public:
  explicit CudaPrimitives(const CudaProductsOptions& options);

  void prepare(const ProductProblems& problems, StreamView stream) override;
  void convolution(const ConvolutionProblem& problem, const ConvolutionTensors& tensors,
                   StreamView stream) override;
  void matrix_product(const MatrixProblem& problem, const void* a, const void* b, void* c,
                      StreamView stream) override;

 private:
  void choose_plans(const ProductProblems& problems, StreamView stream);

  CudaProductsOptions options_;
  CudnnHandle cudnn_;
  CublasLtHandle cublas_;
  CudnnDevice device_;
  std::vector<std::pair<ConvolutionProblem, ConvolutionPlan>> convolutions_;
  std::vector<std::pair<MatrixProblem, MatrixPlan>> matrices_;
  DeviceBuffer<std::byte> workspace_;
};

}  // namespace ddpm
