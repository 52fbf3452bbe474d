// Matrix products through cuBLASLt: which ways there are to compute one (plans), and how one is run.
// Programs that link it load cuBLAS when they start, which takes a tenth of a second.
#pragma once

#include <cublasLt.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "device/stream.h"
#include "runtime/library/vendor_library.h"
#include "support/error_types.h"

namespace ddpm {

// A call to cuBLASLt failed: what() holds the call, its place and the code.
class CublasError : public Error {
 public:
  CublasError(cublasStatus_t status, const char* call, const char* file, int line);
  cublasStatus_t status() const { return status_; }

 private:
  cublasStatus_t status_;
};

#define DDPM_CUBLAS_CHECK(call)                                                          \
  do {                                                                                   \
    if (const cublasStatus_t ddpm_status = (call); ddpm_status != CUBLAS_STATUS_SUCCESS) \
      throw ::ddpm::CublasError(ddpm_status, #call, __FILE__, __LINE__);                 \
  } while (false)

// cuBLASLt's context of one GPU.
class CublasLtHandle {
 public:
  CublasLtHandle() { DDPM_CUBLAS_CHECK(cublasLtCreate(&handle_)); }
  ~CublasLtHandle() { cublasLtDestroy(handle_); }
  CublasLtHandle(const CublasLtHandle&) = delete;
  CublasLtHandle& operator=(const CublasLtHandle&) = delete;
  cublasLtHandle_t get() const { return handle_; }

 private:
  cublasLtHandle_t handle_ = nullptr;
};

// cuBLASLt's descriptions as owned objects.
struct CublasLtDestroy {
  void operator()(cublasLtMatmulDescOpaque_t* made) const { cublasLtMatmulDescDestroy(made); }
  void operator()(cublasLtMatrixLayoutOpaque_t* made) const { cublasLtMatrixLayoutDestroy(made); }
  void operator()(cublasLtMatmulPreferenceOpaque_t* made) const { cublasLtMatmulPreferenceDestroy(made); }
};
template <typename Opaque>
using CublasLtOwner = std::unique_ptr<Opaque, CublasLtDestroy>;

// One problem in cuBLASLt's words. It knows columns first, so it is asked for the transposed product
// d^T = op(b)^T op(a)^T, whose operands are our arrays as they lie: its a is our b. A bias along our columns
// lies along its rows, where its epilogue adds one.
struct MatrixDescription {
  explicit MatrixDescription(const GemmProblem& problem);

  GemmProblem problem;
  CublasLtOwner<cublasLtMatmulDescOpaque_t> operation;
  CublasLtOwner<cublasLtMatrixLayoutOpaque_t> a, b, d;
};

// One way to compute a matrix product.
class GemmPlan {
 public:
  // The algorithm's bits; the same text is the same way under one version of cuBLASLt.
  std::string tag() const;
  // "cuBLASLt algorithm 66 (tile 20, stages 36, split 1)"
  std::string name() const;
  int64_t workspace_bytes() const { return workspace_bytes_; }

  // Asynchronous. workspace holds workspace_bytes(). Plans of one problem are run by one thread at a time.
  void run(const CublasLtHandle& handle, const GemmTensors& tensors, void* workspace,
           StreamView stream) const;

 private:
  friend std::vector<GemmPlan> gemm_plans(const CublasLtHandle&, const GemmProblem&, const PlanLimits&);
  friend std::optional<GemmPlan> restored_gemm_plan(const CublasLtHandle&, const GemmProblem&,
                                                    const std::string&, const PlanLimits&);
  GemmPlan(std::shared_ptr<const MatrixDescription> description, const cublasLtMatmulAlgo_t& algorithm,
           int64_t workspace_bytes);

  std::shared_ptr<const MatrixDescription> description_;  // plans of one problem share it
  cublasLtMatmulAlgo_t algorithm_;
  int64_t workspace_bytes_;
};

// The plans that cuBLASLt's heuristics propose within the limits, the most promising first. All are
// deterministic: split sums are added up in a fixed order, in float. Float products are computed in float,
// never rounded to TF32. Empty where there is none.
std::vector<GemmPlan> gemm_plans(const CublasLtHandle& handle, const GemmProblem& problem,
                                 const PlanLimits& limits = {});

// The plan of that tag; none where it is no algorithm for this problem within the limits.
std::optional<GemmPlan> restored_gemm_plan(const CublasLtHandle& handle, const GemmProblem& problem,
                                           const std::string& tag, const PlanLimits& limits = {});

}  // namespace ddpm
