#include "runtime/library/library_problems.h"

#include <fmt/format.h>

namespace ddpm {
namespace {

const char* name_of(ElementType type) { return type == ElementType::kFloat ? "fp32" : "bf16"; }

// "a 0+512+0": name, transposition, begin, leading dimension, batch stride.
std::string to_string(const char* name, const GemmOperand& operand) {
  return fmt::format("{}{} {}+{}+{}", name, operand.transpose == Transpose::kYes ? "^T" : "", operand.begin,
                     operand.leading_dimension, operand.batch_stride);
}

}  // namespace

std::string to_string(const ConvolutionProblem& problem) {
  constexpr const char* kDirections[] = {"forward", "backward_data", "backward_weight"};
  const Conv2dShape& s = problem.shape;
  return fmt::format("{} {} {}x{}x{}x{} -> {}x{}x{} {}x{} stride {} pad {},{}{}{}{}",
                     kDirections[static_cast<int>(problem.direction)], name_of(problem.type), s.n, s.h, s.w,
                     s.c, s.p(), s.q(), s.k, s.filter, s.filter, s.stride, s.pad_before, s.pad_after,
                     problem.accumulate ? " accumulate" : "", problem.bias ? " bias" : "",
                     problem.residual ? " residual" : "");
}

ConvolutionProblem without_bias(const ConvolutionProblem& problem) {
  ConvolutionProblem rest = problem;
  rest.accumulate = true;
  rest.bias = rest.residual = false;
  return rest;
}

GemmProblem without_bias(const GemmProblem& problem) {
  GemmProblem rest = problem;
  rest.beta = 1;
  rest.bias = false;
  return rest;
}

std::string to_string(const PlanLimits& limits) {
  const bool deterministic = limits.nondeterminism == PlanLimits::Nondeterminism::kRefused;
  return fmt::format("workspace {} {}", limits.workspace_bytes,
                     deterministic ? "deterministic" : "nondeterministic");
}

std::string to_string(const GemmProblem& problem) {
  return fmt::format("{} {}x{} * {}x{} -> {} batch {} ({}, {}, {}) alpha {} beta {}{}",
                     name_of(problem.input), problem.m, problem.k, problem.k, problem.n,
                     name_of(problem.output), problem.batch, to_string("a", problem.a),
                     to_string("b", problem.b), to_string("d", problem.d), problem.alpha, problem.beta,
                     problem.bias ? " bias" : "");
}

}  // namespace ddpm
