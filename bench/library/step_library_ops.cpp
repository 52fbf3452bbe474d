#include "bench/library/step_library_ops.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <type_traits>

#include "device/bfloat16.h"
#include "runtime/library/lowering.h"
#include "support/overloaded.h"

namespace ddpm {
namespace {

std::string layer_shape(const LinearParams& s) { return fmt::format("linear {}x{} -> {}", s.n, s.in, s.out); }
std::string layer_shape(const AttentionShape& s) {
  return fmt::format("attention {}x{}x{} heads {}", s.n, s.length, s.channels(), s.heads);
}

// The role of an operation's library ops; LinearBackward has two roles, told apart by the problems.
template <typename Op>
inline constexpr std::optional<LibraryOpRole> kRole = std::nullopt;
template <>
inline constexpr std::optional<LibraryOpRole> kRole<Conv2d> = LibraryOpRole::kForward;
template <>
inline constexpr std::optional<LibraryOpRole> kRole<Conv2dBackwardData> = LibraryOpRole::kDataGradient;
template <>
inline constexpr std::optional<LibraryOpRole> kRole<Conv2dBackwardWeight> = LibraryOpRole::kWeightGradient;
template <>
inline constexpr std::optional<LibraryOpRole> kRole<UpsampleConv2d> = LibraryOpRole::kForward;
template <>
inline constexpr std::optional<LibraryOpRole> kRole<UpsampleConv2dBackwardData> =
    LibraryOpRole::kDataGradient;
template <>
inline constexpr std::optional<LibraryOpRole> kRole<UpsampleConv2dBackwardWeight> =
    LibraryOpRole::kWeightGradient;
template <>
inline constexpr std::optional<LibraryOpRole> kRole<Linear> = LibraryOpRole::kForward;
template <>
inline constexpr std::optional<LibraryOpRole> kRole<LinearBackward> = LibraryOpRole::kDataGradient;
template <>
inline constexpr std::optional<LibraryOpRole> kRole<Attention> = LibraryOpRole::kForward;
template <>
inline constexpr std::optional<LibraryOpRole> kRole<AttentionBackward> = LibraryOpRole::kDataGradient;

// In bf16, float outputs are weight gradients.
LibraryOpRole role_of(LibraryOpRole of_operation, const LibraryProblem& problem) {
  const auto* matrix = std::get_if<GemmProblem>(&problem);
  return matrix != nullptr && matrix->output == ElementType::kFloat ? LibraryOpRole::kWeightGradient
                                                                    : of_operation;
}

// Calls function(shape, role) where the operation has library ops and is part of every step.
template <typename Function>
void visit_library_operation(const Operation& operation, const Function& function) {
  if (operation.phase == Phase::kStart) return;
  std::visit(
      [&](const auto& op) {
        using Op = std::decay_t<decltype(op)>;
        if constexpr (kRole<Op>.has_value()) {
          if constexpr (requires { op.shape; })
            function(op.shape, *kRole<Op>);
          else
            function(op.params, *kRole<Op>);
        }
      },
      operation.operation);
}

// The unfused problems of each operation, without duplicates.
std::vector<std::vector<LibraryProblem>> problems_by_operation(const Program& program) {
  const MemoryPlan plan = plan_memory(program, {.compute = sizeof(BFloat16), .master = sizeof(float)});
  std::vector<std::vector<LibraryProblem>> problems(program.operations().size());
  for (const Launch<BFloat16>& launch : lower<BFloat16>(program, plan).launches) {
    const auto add = [&](const LibraryProblem& problem) {
      std::vector<LibraryProblem>& known = problems[launch.operation];
      if (std::find(known.begin(), known.end(), problem) == known.end()) known.push_back(problem);
    };
    std::visit(
        Overloaded{[&](const KernelLaunch<BFloat16>&) {}, [&](const auto& call) { add(call.problem); }},
        launch.what);
  }
  return problems;
}

// Numbers the second and later entries with the same name.
template <typename Entry>
void make_names(std::vector<Entry>& entries) {
  std::map<std::string, int> seen;
  for (Entry& entry : entries) {
    const std::string name =
        fmt::format("{}/{}", entry.layer, kLibraryOpRoleNames[static_cast<int>(entry.role)]);
    const int number = seen[name]++;
    entry.name = number == 0 ? name : fmt::format("{}/{}", name, number);
  }
}

// A 1x1 convolution that the engine computes as a GEMM, with a whole filter.
std::optional<Conv2dShape> pointwise(Conv2dShape s) {
  if (s.filter != 1 || s.stride != 1) return std::nullopt;
  s.weight_channels = s.c;
  s.weight_channel_begin = 0;
  return s;
}

template <typename Other>
std::optional<UpsampleConv2dShape> pointwise(const Other& shape) {
  if constexpr (std::is_same_v<Other, UpsampleConv2dShape>) return shape;
  return std::nullopt;
}

// The bytes of (x, w, y).
size_t output_index(ConvolutionDirection direction) {
  constexpr size_t kOutputs[] = {2, 0, 1};
  return kOutputs[static_cast<size_t>(direction)];
}

int64_t operand_elements(const GemmProblem& p, const GemmOperand& operand, int64_t rows, int64_t columns) {
  if (operand.transpose == Transpose::kYes) std::swap(rows, columns);
  return operand.begin + (p.batch - 1) * operand.batch_stride + (rows - 1) * operand.leading_dimension +
         columns;
}

}  // namespace

std::vector<StepLibraryOp> step_library_ops(const Program& program) {
  const auto problems = problems_by_operation(program);
  std::vector<StepLibraryOp> ops;
  for (size_t i = 0; i < program.operations().size(); ++i) {
    const Operation& operation = program.operations()[i];
    visit_library_operation(operation, [&](const auto& shape, LibraryOpRole role) {
      for (const LibraryProblem& problem : problems[i]) {
        const auto known = std::find_if(ops.begin(), ops.end(),
                                        [&](const StepLibraryOp& op) { return op.problem == problem; });
        if (known != ops.end())
          ++known->count;
        else
          ops.push_back({.problem = problem,
                         .role = role_of(role, problem),
                         .layer = operation.name,
                         .shape = layer_shape(shape),
                         .count = 1,
                         .name = {}});
      }
    });
  }
  make_names(ops);
  return ops;
}

std::vector<StepChoice> step_choices(const Program& program) {
  std::vector<StepChoice> choices;
  for (const Operation& operation : program.operations())
    visit_library_operation(operation, [&](const auto& shape, LibraryOpRole role) {
      const auto chosen = pointwise(shape);
      if (!chosen) return;
      const auto known = std::find_if(choices.begin(), choices.end(), [&](const StepChoice& c) {
        return c.role == role && c.shape == decltype(c.shape)(*chosen);
      });
      if (known != choices.end())
        ++known->count;
      else
        choices.push_back({.shape = *chosen, .role = role, .layer = operation.name, .count = 1, .name = {}});
    });
  make_names(choices);
  return choices;
}

Cost cost(const ConvolutionProblem& p) {
  const int bytes = element_bytes(p.type);
  Cost cost = ddpm::cost(p.shape, bytes);
  if (p.accumulate) cost.bytes += static_cast<double>(tensor_bytes(p).at(output_index(p.direction)));
  return cost;
}

Cost cost(const GemmProblem& p) {
  const auto m = static_cast<double>(p.m), n = static_cast<double>(p.n), k = static_cast<double>(p.k);
  const double inputs = element_bytes(p.input) * (m * k + k * n);
  const double output = element_bytes(p.output) * m * n * (p.beta != 0 ? 2 : 1);
  const auto batch = static_cast<double>(p.batch);
  return {2 * m * n * k * batch, (inputs + output) * batch};
}

std::array<int64_t, 3> tensor_bytes(const ConvolutionProblem& p) {
  const int bytes = element_bytes(p.type);
  return {bytes * p.shape.x_elements(), bytes * p.shape.weight_elements(), bytes * p.shape.y_elements()};
}

std::array<int64_t, 3> tensor_bytes(const GemmProblem& p) {
  return {element_bytes(p.input) * operand_elements(p, p.a, p.m, p.k),
          element_bytes(p.input) * operand_elements(p, p.b, p.k, p.n),
          element_bytes(p.output) * operand_elements(p, p.d, p.m, p.n)};
}

std::string layer_shape(const Conv2dShape& s) {
  return fmt::format("conv {0}x{0}{1} {2}x{3}x{4}x{5} -> {6}x{7}x{8}", s.filter,
                     s.stride == 1 ? "" : fmt::format(" stride {}", s.stride), s.n, s.h, s.w, s.c, s.p(),
                     s.q(), s.k);
}

std::string layer_shape(const UpsampleConv2dShape& s) {
  return fmt::format("upsample conv 3x3 {}x{}x{}x{} -> {}x{}x{}", s.n, s.h, s.w, s.c, 2 * s.h, 2 * s.w, s.k);
}

}  // namespace ddpm
