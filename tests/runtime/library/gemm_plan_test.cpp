// GEMMs are described to cuBLASLt as the transposed problem. These tests evaluate the descriptors with plain
// loops; the result must be that of the original problem. Needs no GPU.
#include "runtime/library/gemm_plan.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/kernels/reference/tensors.h"

namespace ddpm {
namespace {

template <typename Value>
Value get(const CublasLtOwner<cublasLtMatrixLayoutOpaque_t>& layout, cublasLtMatrixLayoutAttribute_t name) {
  Value value{};
  size_t written = 0;
  DDPM_CUBLAS_CHECK(cublasLtMatrixLayoutGetAttribute(layout.get(), name, &value, sizeof(value), &written));
  return value;
}

// A batch of matrices as cuBLASLt sees it: element (row, column) at row + column * leading dimension.
struct ColumnMajor {
  explicit ColumnMajor(const CublasLtOwner<cublasLtMatrixLayoutOpaque_t>& layout)
      : rows(get<uint64_t>(layout, CUBLASLT_MATRIX_LAYOUT_ROWS)),
        columns(get<uint64_t>(layout, CUBLASLT_MATRIX_LAYOUT_COLS)),
        leading_dimension(get<int64_t>(layout, CUBLASLT_MATRIX_LAYOUT_LD)),
        batch(get<int32_t>(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT)),
        batch_stride(get<int64_t>(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET)) {}
  int64_t at(int64_t image, uint64_t row, uint64_t column) const {
    EXPECT_LT(row, rows);
    EXPECT_LT(column, columns);
    return image * batch_stride + static_cast<int64_t>(row) +
           static_cast<int64_t>(column) * leading_dimension;
  }
  uint64_t rows, columns;
  int64_t leading_dimension;
  int32_t batch;
  int64_t batch_stride;
};

int32_t attribute(const MatrixDescription& description, cublasLtMatmulDescAttributes_t name) {
  int32_t value = 0;
  size_t written = 0;
  DDPM_CUBLAS_CHECK(
      cublasLtMatmulDescGetAttribute(description.operation.get(), name, &value, sizeof(value), &written));
  return value;
}

bool is_transposed(const MatrixDescription& description, cublasLtMatmulDescAttributes_t name) {
  return attribute(description, name) == CUBLAS_OP_T;
}

using Values = std::vector<double>;

// The result in place of c as cublasLtMatmul defines it; left and right start at the
// operands' first elements.
Values by_cublas_rules(const MatrixDescription& description, const double* left, const double* right,
                       Values c, const Values& bias) {
  const int64_t c_begin = description.problem.d.begin;
  const bool with_bias = attribute(description, CUBLASLT_MATMUL_DESC_EPILOGUE) == CUBLASLT_EPILOGUE_BIAS;
  const ColumnMajor a(description.a), b(description.b), result(description.d);
  const bool transpose_a = is_transposed(description, CUBLASLT_MATMUL_DESC_TRANSA);
  const bool transpose_b = is_transposed(description, CUBLASLT_MATMUL_DESC_TRANSB);
  const uint64_t inner = transpose_a ? a.rows : a.columns;
  EXPECT_EQ(inner, transpose_b ? b.columns : b.rows);
  for (int64_t image = 0; image < result.batch; ++image)
    for (uint64_t i = 0; i < result.rows; ++i)
      for (uint64_t j = 0; j < result.columns; ++j) {
        double sum = 0;
        for (uint64_t l = 0; l < inner; ++l)
          sum += left[transpose_a ? a.at(image, l, i) : a.at(image, i, l)] *
                 right[transpose_b ? b.at(image, j, l) : b.at(image, l, j)];
        double& out = c[static_cast<size_t>(c_begin + result.at(image, i, j))];
        out = description.problem.alpha * sum + description.problem.beta * out + (with_bias ? bias[i] : 0);
      }
  return c;
}

double element(const Values& tensor, const GemmOperand& m, int64_t image, int64_t row, int64_t column) {
  if (m.transpose == Transpose::kYes) std::swap(row, column);
  return tensor.at(
      static_cast<size_t>(m.begin + image * m.batch_stride + row * m.leading_dimension + column));
}

// The result in place of c as GemmProblem defines it.
Values by_definition(const GemmProblem& p, const Values& a, const Values& b, Values c, const Values& bias) {
  for (int64_t image = 0; image < p.batch; ++image)
    for (int64_t i = 0; i < p.m; ++i)
      for (int64_t j = 0; j < p.n; ++j) {
        double sum = 0;
        for (int64_t l = 0; l < p.k; ++l) sum += element(a, p.a, image, i, l) * element(b, p.b, image, l, j);
        double& out =
            c.at(static_cast<size_t>(p.d.begin + image * p.d.batch_stride + i * p.d.leading_dimension + j));
        out = p.alpha * sum + p.beta * out + (p.bias ? bias.at(static_cast<size_t>(j)) : 0);
      }
  return c;
}

TEST(MatrixDescription, DescribesTheProblem) {
  for (const Transpose transpose_a : {Transpose::kNo, Transpose::kYes})
    for (const Transpose transpose_b : {Transpose::kNo, Transpose::kYes})
      for (const bool with_bias : {false, true}) {
        const GemmProblem problem{
            .m = 3,
            .n = 4,
            .k = 5,
            .a = {.leading_dimension = 7, .transpose = transpose_a, .begin = 2, .batch_stride = 40},
            .b = {.leading_dimension = 6, .transpose = transpose_b, .begin = 1, .batch_stride = 31},
            .d = {.leading_dimension = 9, .begin = 3, .batch_stride = 29},
            .batch = 2,
            .output = ElementType::kFloat,
            .alpha = 0.5F,
            .beta = 1,
            .bias = with_bias};
        using reference::random_values;
        const Values a = random_values(100, 1), b = random_values(100, 2), c = random_values(100, 3),
                     bias = random_values(problem.n, 4);
        const MatrixDescription description(problem);
        const Values actual =
            by_cublas_rules(description, b.data() + problem.b.begin, a.data() + problem.a.begin, c, bias);
        EXPECT_EQ(actual, by_definition(problem, a, b, c, bias));  // the same additions in the same order
      }
}

TEST(MatrixDescription, BiasHasTheOutputType) {
  const GemmOperand square{.leading_dimension = 2};
  const GemmProblem problem{.m = 2, .n = 2, .k = 2, .a = square, .b = square, .d = square, .bias = true};
  EXPECT_EQ(attribute(MatrixDescription(problem), CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE), CUDA_R_16BF);
}

TEST(MatrixDescription, UsesTheProblemsTypes) {
  const GemmProblem problem{.m = 2,
                            .n = 2,
                            .k = 2,
                            .a = {.leading_dimension = 2},
                            .b = {.leading_dimension = 2},
                            .d = {.leading_dimension = 2},
                            .input = ElementType::kBfloat16,
                            .output = ElementType::kFloat};
  const MatrixDescription description(problem);
  EXPECT_EQ(get<uint32_t>(description.a, CUBLASLT_MATRIX_LAYOUT_TYPE), uint32_t{CUDA_R_16BF});
  EXPECT_EQ(get<uint32_t>(description.b, CUBLASLT_MATRIX_LAYOUT_TYPE), uint32_t{CUDA_R_16BF});
  EXPECT_EQ(get<uint32_t>(description.d, CUBLASLT_MATRIX_LAYOUT_TYPE), uint32_t{CUDA_R_32F});
}

}  // namespace
}  // namespace ddpm
