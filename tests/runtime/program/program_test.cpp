// The buffers, parameters and operations of a Program.
#include "runtime/program/program.h"

#include <gtest/gtest.h>

#include <string>

#include "support/error_types.h"

namespace ddpm {
namespace {

NamedTensor tensor(const std::string& name, Shape shape) {
  return {.name = name, .shape = std::move(shape), .initial = {}};
}

TEST(Program, ParametersArePackedAtAlignedOffsets) {
  Program program;
  const BufferId a = program.add_parameter("a", {5}, {tensor("a", {5})});
  const BufferId b = program.add_parameter("b", {2, 40}, {tensor("b", {2, 40})});
  const BufferId c = program.add_parameter("c", {1}, {tensor("c", {1})});
  EXPECT_EQ(program.buffer(a).arena_offset, 0);
  EXPECT_EQ(program.buffer(b).arena_offset, 64);
  EXPECT_EQ(program.buffer(c).arena_offset, 64 + 128);
  EXPECT_EQ(program.parameter_elements(), 64 + 128 + 64);
  EXPECT_EQ(program.parameter_count(), 5 + 80 + 1) << "padding is not trained";
}

TEST(Program, TensorsOfAParameterAreStackedByRows) {
  Program program;
  const BufferId qkv =
      program.add_parameter("qkv", {9, 4}, {tensor("q", {2, 4}), tensor("k", {3, 4}), tensor("v", {4, 4})});
  const auto& tensors = program.buffer(qkv).tensors;
  ASSERT_EQ(tensors.size(), 3u);
  EXPECT_EQ(tensors[0].first_row, 0);
  EXPECT_EQ(tensors[1].first_row, 2);
  EXPECT_EQ(tensors[2].first_row, 5);
}

TEST(Program, RefusesTensorsThatDoNotFillTheirParameter) {
  Program program;
  EXPECT_THROW(program.add_parameter("short", {4, 2}, {tensor("a", {3, 2})}), LogicError);
  EXPECT_THROW(program.add_parameter("narrow", {4, 2}, {tensor("a", {4, 1})}), LogicError);
}

TEST(Program, ParameterGradientIsMadeOnceAtTheSameOffset) {
  Program program;
  program.add_parameter("a", {5}, {tensor("a", {5})});
  const BufferId b = program.add_parameter("b", {7}, {tensor("b", {7})});
  const BufferId gradient = program.gradient_of_parameter(b);
  EXPECT_EQ(program.gradient_of_parameter(b), gradient);
  EXPECT_EQ(program.buffer(gradient).role, Role::kParameterGradient);
  EXPECT_EQ(program.buffer(gradient).arena_offset, program.buffer(b).arena_offset);
  EXPECT_EQ(program.shape(gradient), program.shape(b));
}

TEST(Program, RefusesGradientsOfNonParameters) {
  Program program;
  const BufferId activation = program.add_buffer("activation", {3});
  EXPECT_THROW(program.gradient_of_parameter(activation), LogicError);
}

TEST(Program, KeptActivationIsAState) {
  Program program;
  const BufferId activation = program.add_buffer("activation", {3});
  const BufferId input = program.add_buffer("input", {3}, Role::kInput);
  program.keep(activation);
  program.keep(input);
  EXPECT_EQ(program.buffer(activation).role, Role::kState);
  EXPECT_EQ(program.buffer(input).role, Role::kInput);
}

TEST(Program, FindsBuffersByName) {
  Program program;
  program.add_buffer("a", {1});
  const BufferId b = program.add_buffer("b", {1});
  EXPECT_EQ(program.find("b"), b);
  EXPECT_THROW(program.find("c"), LogicError);
}

TEST(Program, RefusesInvalidBuffersAndOperands) {
  Program program;
  const BufferId a = program.add_buffer("a", {4});
  EXPECT_THROW(program.add("add", Phase::kForward, Add{.count = 4, .a = a, .b = a, .y = a + 1}), LogicError);
  EXPECT_THROW(program.add_buffer("empty", {2, 0}), LogicError);
  EXPECT_THROW(program.add_buffer("negative", {-1}), LogicError);
}

TEST(Operations, OperandsOmitAbsentBuffers) {
  const AnyOperation conv = Conv2d{.shape = {}, .x = 3, .weight = 4, .y = 5};
  const Operands all = operands(conv);
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].buffer, 3);
  EXPECT_EQ(all[1].buffer, 4);
  EXPECT_EQ(all[2].buffer, 5);
  EXPECT_EQ(all[2].access, Access::kWrite);
  EXPECT_EQ(std::string(kind(conv)), "conv2d");
}

TEST(Operations, ConvolutionCountsTwoFlopsPerMultiplyAdd) {
  const AnyOperation conv = Conv2d{
      .shape = {.n = 2, .h = 8, .w = 8, .c = 3, .k = 5, .weight_channels = 3}, .x = 0, .weight = 1, .y = 2};
  EXPECT_EQ(cost(conv, 4).flops, 2.0 * 2 * 8 * 8 * 5 * 3 * 9);
  EXPECT_EQ(cost(conv, 4).bytes, 4.0 * (2 * 8 * 8 * (3 + 5) + 5 * 3 * 9));
}

}  // namespace
}  // namespace ddpm
