// cuBLASLt's plans for a GEMM: how to list, restore and run them. Executables that link this load cuBLAS at
// startup, which takes a tenth of a second.
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

// A failed cuBLASLt call: what() has the call, its location and the status.
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

// cuBLASLt's context for one GPU.
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

// Owning pointers to cuBLASLt's descriptors.
struct CublasLtDestroy {
  void operator()(cublasLtMatmulDescOpaque_t* made) const { cublasLtMatmulDescDestroy(made); }
  void operator()(cublasLtMatrixLayoutOpaque_t* made) const { cublasLtMatrixLayoutDestroy(made); }
  void operator()(cublasLtMatmulPreferenceOpaque_t* made) const { cublasLtMatmulPreferenceDestroy(made); }
};
template <typename Opaque>
using CublasLtOwner = std::unique_ptr<Opaque, CublasLtDestroy>;

// A problem in cuBLASLt's column-major terms: it computes d^T = op(b)^T op(a)^T on our arrays as they are, so
// its a is our b. A bias along our columns is along its rows, where its epilogue adds one.
struct MatrixDescription {
  explicit MatrixDescription(const GemmProblem& problem);

  GemmProblem problem;
  CublasLtOwner<cublasLtMatmulDescOpaque_t> operation;
  CublasLtOwner<cublasLtMatrixLayoutOpaque_t> a, b, d;
};

// One way to compute a GEMM.
class GemmPlan {
 public:
  // The algorithm's bits; identifies a plan within a version of cuBLASLt.
  std::string tag() const;
  // "cuBLASLt algorithm 66 (tile 20, stages 36, split 1)"
  std::string name() const;
  int64_t workspace_bytes() const { return workspace_bytes_; }

  // Asynchronous. workspace holds workspace_bytes(). Plans of one problem must not run concurrently.
  void run(const CublasLtHandle& handle, const GemmTensors& tensors, void* workspace,
           StreamView stream) const;

 private:
  friend std::vector<GemmPlan> gemm_plans(const CublasLtHandle&, const GemmProblem&, const PlanLimits&);
  friend std::optional<GemmPlan> restored_gemm_plan(const CublasLtHandle&, const GemmProblem&,
                                                    const std::string&, const PlanLimits&);
  GemmPlan(std::shared_ptr<const MatrixDescription> description, const cublasLtMatmulAlgo_t& algorithm,
           int64_t workspace_bytes);

  std::shared_ptr<const MatrixDescription> description_;  // shared by the plans of one problem
  cublasLtMatmulAlgo_t algorithm_;
  int64_t workspace_bytes_;
};

// The plans within the limits that cuBLASLt's heuristics propose, most promising first; empty if there
// are none. All are deterministic: split sums are added in a fixed order, in float. Float GEMMs
// compute in float, never in TF32.
std::vector<GemmPlan> gemm_plans(const CublasLtHandle& handle, const GemmProblem& problem,
                                 const PlanLimits& limits = {});

// Restores a plan from its tag; none if it is not an algorithm for this problem within the limits.
std::optional<GemmPlan> restored_gemm_plan(const CublasLtHandle& handle, const GemmProblem& problem,
                                           const std::string& tag, const PlanLimits& limits = {});

}  // namespace ddpm
