#include "runtime/library/gemm_plan.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <span>
#include <utility>

#include "support/error.h"

namespace ddpm {
namespace {

constexpr int kMostCandidates = 16;  // cuBLASLt rarely proposes more
constexpr int64_t kTensorAlignment = 16;

cudaDataType_t data_type(ElementType type) { return type == ElementType::kFloat ? CUDA_R_32F : CUDA_R_16BF; }

template <typename Value>
void set(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t name, const Value& value) {
  DDPM_CUBLAS_CHECK(cublasLtMatmulDescSetAttribute(operation, name, &value, sizeof(value)));
}
void set_bias(cublasLtMatmulDesc_t operation, const void* bias) {
  set(operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
}
// The heuristics need an aligned bias address, which they do not dereference.
const void* const kSomeBias = reinterpret_cast<const void*>(kTensorAlignment);

template <typename Value>
void set(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t name, const Value& value) {
  DDPM_CUBLAS_CHECK(cublasLtMatrixLayoutSetAttribute(layout, name, &value, sizeof(value)));
}
template <typename Value>
void set(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t name,
         const Value& value) {
  DDPM_CUBLAS_CHECK(cublasLtMatmulPreferenceSetAttribute(preference, name, &value, sizeof(value)));
}

// A row-major matrix of rows x columns, which is a column-major matrix of columns x rows to cuBLASLt.
CublasLtOwner<cublasLtMatrixLayoutOpaque_t> layout(ElementType type, int64_t rows, int64_t columns,
                                                   const GemmOperand& operand, int64_t batch) {
  if (operand.transpose == Transpose::kYes) std::swap(rows, columns);
  cublasLtMatrixLayout_t made = nullptr;
  DDPM_CUBLAS_CHECK(cublasLtMatrixLayoutCreate(&made, data_type(type), static_cast<uint64_t>(columns),
                                               static_cast<uint64_t>(rows), operand.leading_dimension));
  CublasLtOwner<cublasLtMatrixLayoutOpaque_t> owner(made);
  set(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, static_cast<int32_t>(batch));
  set(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, operand.batch_stride);
  return owner;
}

cublasOperation_t operation_of(const GemmOperand& operand) {
  return operand.transpose == Transpose::kYes ? CUBLAS_OP_T : CUBLAS_OP_N;
}

// The alignment in bytes of every matrix of the operand.
uint32_t alignment(const GemmOperand& operand, ElementType type) {
  const int64_t elements = std::gcd(operand.begin, operand.batch_stride);
  return static_cast<uint32_t>(std::gcd(kTensorAlignment, elements * element_bytes(type)));
}

template <typename Byte>
Byte* first_element(Byte* tensor, const GemmOperand& operand, ElementType type) {
  return tensor + operand.begin * element_bytes(type);
}

CublasLtOwner<cublasLtMatmulPreferenceOpaque_t> preference_of(const GemmProblem& p,
                                                              const PlanLimits& limits) {
  cublasLtMatmulPreference_t made = nullptr;
  DDPM_CUBLAS_CHECK(cublasLtMatmulPreferenceCreate(&made));
  CublasLtOwner<cublasLtMatmulPreferenceOpaque_t> owner(made);
  set(made, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, static_cast<uint64_t>(limits.workspace_bytes));
  // A split-K GEMM keeps partial sums in float in the workspace, and a second kernel adds them; the other
  // schemes round them to the output's type.
  set(made, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      static_cast<uint32_t>(CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));
  set(made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment(p.b, p.input));
  set(made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment(p.a, p.input));
  set(made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment(p.d, p.output));
  set(made, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment(p.d, p.output));
  return owner;
}

}  // namespace

CublasError::CublasError(cublasStatus_t status, const char* call, const char* file, int line)
    : Error(fmt::format("{}:{}: cuBLASLt returned {} ({}) from {}", file, line,
                        cublasLtGetStatusString(status), static_cast<int>(status), call)),
      status_(status) {}

MatrixDescription::MatrixDescription(const GemmProblem& p)
    : problem(p),
      a(layout(p.input, p.k, p.n, p.b, p.batch)),
      b(layout(p.input, p.m, p.k, p.a, p.batch)),
      d(layout(p.output, p.m, p.n, p.d, p.batch)) {
  DDPM_CHECK(p.d.transpose == Transpose::kNo);
  cublasLtMatmulDesc_t made = nullptr;
  DDPM_CUBLAS_CHECK(cublasLtMatmulDescCreate(&made, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  operation.reset(made);
  set(made, CUBLASLT_MATMUL_DESC_TRANSA, operation_of(p.b));
  set(made, CUBLASLT_MATMUL_DESC_TRANSB, operation_of(p.a));
  if (p.bias) {
    set(made, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
    set(made, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, static_cast<int32_t>(data_type(p.output)));
    set_bias(made, kSomeBias);
  }
}

GemmPlan::GemmPlan(std::shared_ptr<const MatrixDescription> description,
                   const cublasLtMatmulAlgo_t& algorithm, int64_t workspace_bytes)
    : description_(std::move(description)), algorithm_(algorithm), workspace_bytes_(workspace_bytes) {}

std::string GemmPlan::tag() const {
  std::string text;
  for (const uint64_t word : algorithm_.data) text += fmt::format("{:016x}", word);
  return text;
}

std::string GemmPlan::name() const {
  const auto number = [&](cublasLtMatmulAlgoConfigAttributes_t attribute) -> std::string {
    uint32_t value = 0;
    size_t written = 0;
    const cublasStatus_t status =
        cublasLtMatmulAlgoConfigGetAttribute(&algorithm_, attribute, &value, sizeof(value), &written);
    return status == CUBLAS_STATUS_SUCCESS ? std::to_string(value) : "?";
  };
  return fmt::format("cuBLASLt algorithm {} (tile {}, stages {}, split {})", number(CUBLASLT_ALGO_CONFIG_ID),
                     number(CUBLASLT_ALGO_CONFIG_TILE_ID), number(CUBLASLT_ALGO_CONFIG_STAGES_ID),
                     number(CUBLASLT_ALGO_CONFIG_SPLITK_NUM));
}

void GemmPlan::run(const CublasLtHandle& handle, const GemmTensors& tensors, void* workspace,
                   StreamView stream) const {
  const MatrixDescription& to = *description_;
  const GemmProblem& p = to.problem;
  const auto first_read = [](const void* tensor, const GemmOperand& operand, ElementType type) {
    return first_element(static_cast<const std::byte*>(tensor), operand, type);
  };
  std::byte* result = first_element(static_cast<std::byte*>(tensors.d), p.d, p.output);
  const std::byte* added = p.beta == 0 ? result : first_read(tensors.c, p.d, p.output);
  if (p.bias) set_bias(to.operation.get(), tensors.bias);
  DDPM_CUBLAS_CHECK(cublasLtMatmul(
      handle.get(), to.operation.get(), &p.alpha, first_read(tensors.b, p.b, p.input), to.a.get(),
      first_read(tensors.a, p.a, p.input), to.b.get(), &p.beta, added, to.d.get(), result, to.d.get(),
      &algorithm_, workspace, static_cast<size_t>(workspace_bytes_), stream.get()));
}

std::vector<GemmPlan> gemm_plans(const CublasLtHandle& handle, const GemmProblem& problem,
                                 const PlanLimits& limits) {
  DDPM_CHECK(limits.workspace_bytes >= 0);
  const auto description = std::make_shared<const MatrixDescription>(problem);
  const auto preference = preference_of(problem, limits);
  std::array<cublasLtMatmulHeuristicResult_t, kMostCandidates> found{};
  int count = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(
      handle.get(), description->operation.get(), description->a.get(), description->b.get(),
      description->d.get(), description->d.get(), preference.get(), kMostCandidates, found.data(), &count);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED) return {};
  DDPM_CUBLAS_CHECK(status);
  std::vector<GemmPlan> plans;
  for (const cublasLtMatmulHeuristicResult_t& result : std::span(found).first(static_cast<size_t>(count)))
    if (result.state == CUBLAS_STATUS_SUCCESS)
      plans.push_back(GemmPlan(description, result.algo, static_cast<int64_t>(result.workspaceSize)));
  return plans;
}

std::optional<GemmPlan> restored_gemm_plan(const CublasLtHandle& handle, const GemmProblem& problem,
                                           const std::string& tag, const PlanLimits& limits) {
  cublasLtMatmulAlgo_t algorithm{};
  constexpr size_t kDigits = 16;
  if (tag.size() != std::size(algorithm.data) * kDigits) return std::nullopt;
  for (size_t i = 0; i < std::size(algorithm.data); ++i) {
    const char* begin = tag.data() + i * kDigits;
    const auto [end, error] = std::from_chars(begin, begin + kDigits, algorithm.data[i], 16);
    if (error != std::errc() || end != begin + kDigits) return std::nullopt;
  }
  auto description = std::make_shared<const MatrixDescription>(problem);
  cublasLtMatmulHeuristicResult_t result{};
  const cublasStatus_t status = cublasLtMatmulAlgoCheck(
      handle.get(), description->operation.get(), description->a.get(), description->b.get(),
      description->d.get(), description->d.get(), &algorithm, &result);
  const auto bytes = static_cast<int64_t>(result.workspaceSize);
  if (status != CUBLAS_STATUS_SUCCESS || bytes > limits.workspace_bytes) return std::nullopt;
  return GemmPlan(std::move(description), algorithm, bytes);
}

}  // namespace ddpm
