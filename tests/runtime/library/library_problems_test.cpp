// The library problems of a training step, and their names.
#include "runtime/library/library_problems.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/training/training_program.h"
#include "model/unet/presets.h"
#include "runtime/library/lowering.h"

namespace ddpm {
namespace {

Program training_step(const char* preset, int batch) {
  return training_program(find_preset(preset).network, batch, {.count = batch}).program;
}

template <typename T>
LaunchList<T> lowered(const Program& program, UpsampleForm form = UpsampleForm::kAuto) {
  return lower<T>(program, plan_memory(program, {.compute = sizeof(T), .master = sizeof(float)}),
                  UpsampleForms(form));
}

template <typename Problem>
void expect_each_once(const std::vector<Problem>& problems) {
  for (size_t i = 0; i < problems.size(); ++i)
    for (size_t j = 0; j < i; ++j) EXPECT_FALSE(problems[i] == problems[j]) << to_string(problems[i]);
}

TEST(LibraryProblems, TrainingStepListsEachProblemOnce) {
  const Program program = training_step("ddpm-cifar10-32", 128);
  const LibraryProblems problems = lowered<BFloat16>(program).problems();
  expect_each_once(problems.convolutions);
  expect_each_once(problems.gemms);
  EXPECT_FALSE(problems.convolutions.empty());
  EXPECT_FALSE(problems.gemms.empty());
  for (const ConvolutionProblem& problem : problems.convolutions) {
    EXPECT_EQ(problem.type, ElementType::kBfloat16);
    EXPECT_GT(problem.shape.filter, 1) << "a GEMM: " << to_string(problem);
    EXPECT_FALSE(problem.accumulate && problem.direction == ConvolutionDirection::kBackwardWeight);
  }
}

TEST(LibraryProblems, FloatWeightGradientsAccumulateInTheLibrary) {
  const Program program = training_step("tiny-32", 4);
  int weight_gradients = 0;
  for (const ConvolutionProblem& problem : lowered<float>(program).problems().convolutions) {
    if (problem.direction != ConvolutionDirection::kBackwardWeight) continue;
    ++weight_gradients;
    // Filter 4: the gradient of the folded filter, unfolded by a kernel afterwards.
    EXPECT_TRUE(problem.accumulate || problem.shape.filter == 4) << to_string(problem);
  }
  EXPECT_GT(weight_gradients, 0);
}

TEST(LibraryProblems, OnlyTheNearestFormNeedsAnUpsampledImage) {
  const Program program = training_step("tiny-32", 16);
  int64_t largest = 0;
  for (const Operation& operation : program.operations())
    if (const auto* op = std::get_if<UpsampleConv2d>(&operation.operation))
      largest = std::max(largest, op->shape.upsampled().x_elements());
  ASSERT_GT(largest, 0);
  const auto image_bytes = static_cast<size_t>(largest) * sizeof(float);
  EXPECT_LT(lowered<float>(program, UpsampleForm::kFolded).scratch_bytes, image_bytes);
  EXPECT_GE(lowered<float>(program, UpsampleForm::kNearest).scratch_bytes, image_bytes);
}

TEST(ConvolutionProblem, NamesItself) {
  const ConvolutionProblem problem{
      .shape = {.n = 2, .h = 8, .w = 8, .c = 4, .k = 6, .stride = 2, .pad_before = 0, .weight_channels = 4},
      .direction = ConvolutionDirection::kBackwardData,
      .type = ElementType::kFloat,
      .accumulate = true};
  EXPECT_EQ(to_string(problem), "backward_data fp32 2x8x8x4 -> 4x4x6 3x3 stride 2 pad 0,1 accumulate");
  const ConvolutionProblem fused{.shape = problem.shape, .bias = true, .residual = true};
  EXPECT_EQ(to_string(fused), "forward bf16 2x8x8x4 -> 4x4x6 3x3 stride 2 pad 0,1 bias residual");
}

TEST(GemmProblem, NamesItself) {
  const GemmProblem problem{.m = 2,
                            .n = 3,
                            .k = 4,
                            .a = {.leading_dimension = 4, .batch_stride = 8},
                            .b = {.leading_dimension = 5, .transpose = Transpose::kYes, .begin = 1},
                            .d = {.leading_dimension = 3, .batch_stride = 6},
                            .batch = 7,
                            .output = ElementType::kFloat,
                            .beta = 1,
                            .bias = true};
  EXPECT_EQ(to_string(problem),
            "bf16 2x4 * 4x3 -> fp32 batch 7 (a 0+4+8, b^T 1+5+0, d 0+3+6) alpha 1 beta 1 bias");
}

}  // namespace
}  // namespace ddpm
