// The list of library ops that the benchmark times: against what a device prepares for, and against the costs of the
// network's operations.
#include "bench/library/step_library_ops.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "device/bfloat16.h"
#include "model/training/training_program.h"
#include "model/unet/presets.h"
#include "runtime/library/lowering.h"

namespace ddpm {
namespace {

constexpr int kBatch = 128;

Program training_step(const char* preset) {
  return training_program(find_preset(preset).network, kBatch, {.count = kBatch}).program;
}

class StepLibraryOps : public testing::TestWithParam<const char*> {
 protected:
  const Program program = training_step(GetParam());
  const std::vector<StepLibraryOp> ops = step_library_ops(program);
};

// All but the optional fusions.
TEST_P(StepLibraryOps, MatchTheExecutorsProblems) {
  LibraryProblems wanted =
      lower<BFloat16>(program, plan_memory(program, {.compute = 2, .master = 4})).problems();
  const auto is_fused = [](const auto& problem) { return problem.bias; };
  EXPECT_GT(std::erase_if(wanted.convolutions, is_fused), 0U);
  EXPECT_GT(std::erase_if(wanted.gemms, is_fused), 0U);
  EXPECT_EQ(ops.size(), wanted.convolutions.size() + wanted.gemms.size());
  const auto is_listed = [&](const LibraryProblem& problem) {
    return std::any_of(ops.begin(), ops.end(),
                       [&](const StepLibraryOp& op) { return op.problem == problem; });
  };
  for (const ConvolutionProblem& problem : wanted.convolutions)
    EXPECT_TRUE(is_listed(problem)) << to_string(problem);
  for (const GemmProblem& problem : wanted.gemms) EXPECT_TRUE(is_listed(problem)) << to_string(problem);
}

// The sum of the operations' cost formulas over the step. Folded upsampling convolutions are cheaper than
// their formula, which counts the literal form: 4x4 taps on a quarter of the pixels, 16/36.
TEST_P(StepLibraryOps, FlopsMatchTheStepsOperations) {
  double expected = 0;
  for (const Operation& operation : program.operations()) {
    const std::string kind = ddpm::kind(operation.operation);
    const double flops = ddpm::cost(operation.operation, sizeof(BFloat16)).flops;
    if (kind.starts_with("conv2d")) expected += flops;
    if (kind.starts_with("upsample_conv2d")) expected += flops * 16 / 36;
  }
  double found = 0;
  for (const StepLibraryOp& op : ops)
    if (op.shape.find("conv ") != std::string::npos)
      found += op.count * std::visit([](const auto& problem) { return cost(problem).flops; }, op.problem);
  EXPECT_NEAR(found / expected, 1, 1e-12);  // sums of whole numbers below 2^53, added in another order
}

TEST_P(StepLibraryOps, HaveUniqueNames) {
  std::set<std::string> names;
  ASSERT_FALSE(ops.empty());
  for (const StepLibraryOp& op : ops) EXPECT_TRUE(names.insert(op.name).second) << op.name;
  const auto choices = step_choices(program);
  ASSERT_FALSE(choices.empty());
  for (const StepChoice& choice : choices) EXPECT_FALSE(choice.name.empty());
}

TEST_P(StepLibraryOps, CountsMatchTheOperationsOfEachRole) {
  int convolutions[3] = {};  // by role; one product each
  for (const StepLibraryOp& op : ops)
    if (op.shape.find("conv ") != std::string::npos) convolutions[static_cast<int>(op.role)] += op.count;
  int expected[3] = {};
  for (const Operation& operation : program.operations()) {
    const std::string kind = ddpm::kind(operation.operation);
    expected[0] += kind == "conv2d" || kind == "upsample_conv2d";
    expected[1] += kind == "conv2d_backward_data" || kind == "upsample_conv2d_backward_data";
    expected[2] += kind == "conv2d_backward_weight" || kind == "upsample_conv2d_backward_weight";
  }
  EXPECT_THAT(expected, testing::Each(testing::Gt(0)));
  EXPECT_THAT(convolutions, testing::ElementsAreArray(expected));
}

TEST_P(StepLibraryOps, ChoicesAreThe1x1ConvolutionsAndThoseAfterUpsampling) {
  int counted = 0;
  for (const StepChoice& choice : step_choices(program)) counted += choice.count;
  int expected = 0;
  for (const Operation& operation : program.operations()) {
    expected += std::string(ddpm::kind(operation.operation)).starts_with("upsample_conv2d");
    if (const auto* op = std::get_if<Conv2d>(&operation.operation)) expected += op->shape.filter == 1;
    if (const auto* op = std::get_if<Conv2dBackwardData>(&operation.operation))
      expected += op->shape.filter == 1;
    if (const auto* op = std::get_if<Conv2dBackwardWeight>(&operation.operation))
      expected += op->shape.filter == 1;
  }
  EXPECT_GT(expected, 0);
  EXPECT_EQ(counted, expected);
}

INSTANTIATE_TEST_SUITE_P(Presets, StepLibraryOps,
                         testing::Values("ddpm-cifar10-32", "ddim-celeba-64", "ddpm-celebahq-256"));

TEST(StepLibraryOp, IsNamedAfterItsFirstLayer) {
  const std::vector<StepLibraryOp> ops = step_library_ops(training_step("ddpm-cifar10-32"));
  const auto conv_in = std::find_if(ops.begin(), ops.end(),
                                    [](const StepLibraryOp& p) { return p.name == "conv_in/forward"; });
  ASSERT_NE(conv_in, ops.end());
  EXPECT_EQ(conv_in->count, 1);
  EXPECT_THAT(conv_in->shape, testing::StartsWith("conv 3x3 128x32x32x3 -> 32x32x128"));
}

TEST(TensorBytes, ReachTheLastElement) {
  const GemmProblem problem{.m = 2,
                            .n = 3,
                            .k = 4,
                            .a = {.leading_dimension = 10, .begin = 5},
                            .b = {.leading_dimension = 4, .transpose = Transpose::kYes},
                            .d = {.leading_dimension = 3, .batch_stride = 6},
                            .batch = 2,
                            .output = ElementType::kFloat};
  // a: 5 elements before it, one row of 10, 4 of the second row; b: (3, 4); c: two of (2, 3) in float.
  EXPECT_THAT(tensor_bytes(problem), testing::ElementsAre(2 * 19, 2 * 12, 4 * 12));
}

TEST(LibraryOpCost, CountsReadingAnAccumulatedResult) {
  const GemmProblem plain{.m = 2, .n = 3, .k = 4, .a = {}, .b = {}, .d = {}};
  GemmProblem added = plain;
  added.beta = 1;
  EXPECT_EQ(cost(plain).flops, 2 * 2 * 3 * 4);
  EXPECT_EQ(cost(plain).bytes, 2 * (8 + 12 + 6));
  EXPECT_EQ(cost(added).bytes, 2 * (8 + 12 + 6 + 6));
}

}  // namespace
}  // namespace ddpm
