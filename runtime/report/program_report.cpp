#include "runtime/report/program_report.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>

namespace ddpm {
namespace {

void add_cost(CostTotal& total, const Cost& cost) {
  ++total.operations;
  total.cost.flops += cost.flops;
  total.cost.bytes += cost.bytes;
}

bool is_computed(const Buffer& buffer) {
  const bool holds_images = buffer.role == Role::kState && buffer.shape.size() > 1;
  return buffer.role == Role::kActivation || holds_images;
}

// The first operand read is the operation's subject: x, dy, qkv.
Shape input_shape(const Program& program, const Operands& all) {
  for (const Operand& operand : all)
    if (operand.access != Access::kWrite && is_computed(program.buffer(operand.buffer)))
      return program.shape(operand.buffer);
  return {};
}

// The result, as opposed to statistics, probabilities and scratch: y or dx if there are several outputs.
Shape output_shape(const Program& program, const Operands& all) {
  const Operand* output = nullptr;
  for (const Operand& operand : all) {
    if (operand.access != Access::kWrite || !is_computed(program.buffer(operand.buffer))) continue;
    const std::string_view name = operand.name;
    if (output == nullptr || name == "y" || name == "dx") output = &operand;
  }
  return output == nullptr ? Shape() : program.shape(output->buffer);
}

std::vector<OperationReport> report_operations(const Program& program, const ElementSizes& sizes) {
  std::vector<OperationReport> reports;
  std::set<BufferId> used;
  for (const Operation& operation : program.operations()) {
    const Operands all = operands(operation.operation);
    OperationReport report{.name = operation.name,
                           .kind = kind(operation.operation),
                           .phase = operation.phase,
                           .input = input_shape(program, all),
                           .output = output_shape(program, all),
                           .cost = cost(operation.operation, sizes.compute)};
    for (const Operand& operand : all) {
      const Buffer& buffer = program.buffer(operand.buffer);
      if (buffer.role == Role::kParameter && used.insert(operand.buffer).second)
        report.parameters += element_count(buffer.shape);
    }
    reports.push_back(std::move(report));
  }
  return reports;
}

MemoryReport report_memory(const Program& program, const MemoryPlan& plan, const ElementSizes& sizes) {
  MemoryReport memory{.activations = plan.arena_bytes,
                      .activations_without_reuse = plan.bytes_without_reuse,
                      .activations_lower_bound = plan.lower_bound,
                      .shared_in_place = plan.shared_in_place};
  for (const Buffer& buffer : program.buffers()) {
    const int64_t bytes = element_count(buffer.shape) * sizes.bytes(buffer.dtype);
    if (buffer.role == Role::kState) memory.states += bytes;
    if (buffer.role == Role::kInput) memory.inputs += bytes;
  }
  memory.parameters = program.parameter_elements() * sizes.master;
  memory.gradients = program.gradient_elements() * sizes.master;
  return memory;
}

std::vector<ActivationReport> report_activations(const Program& program, const MemoryPlan& plan) {
  std::vector<ActivationReport> activations;
  for (size_t i = 0; i < plan.placements.size(); ++i)
    if (plan.placements[i].offset >= 0)
      activations.push_back({program.buffers()[i].name, program.buffers()[i].shape, plan.placements[i]});
  std::stable_sort(activations.begin(), activations.end(),
                   [](const auto& a, const auto& b) { return a.placement.bytes > b.placement.bytes; });
  return activations;
}

}  // namespace

CostTotal ProgramReport::total(Phase phase) const {
  CostTotal sum;
  for (const OperationReport& operation : operations)
    if (operation.phase == phase) add_cost(sum, operation.cost);
  return sum;
}

CostTotal ProgramReport::total() const {
  CostTotal sum;
  for (const OperationReport& operation : operations) add_cost(sum, operation.cost);
  return sum;
}

std::vector<KindTotal> ProgramReport::totals_by_kind() const {
  std::map<std::string, CostTotal> totals;
  for (const OperationReport& operation : operations) add_cost(totals[operation.kind], operation.cost);
  std::vector<KindTotal> kinds;
  kinds.reserve(totals.size());
  for (const auto& [kind, sum] : totals) kinds.push_back({kind, sum});
  std::stable_sort(kinds.begin(), kinds.end(),
                   [](const auto& a, const auto& b) { return a.total.cost.flops > b.total.cost.flops; });
  return kinds;
}

ProgramReport report_program(const Program& program, const MemoryPlan& plan, const ReportOptions& options) {
  ProgramReport report{.title = options.title,
                       .batch = options.batch,
                       .sizes = options.sizes,
                       .parameters = program.parameter_count(),
                       .operations = report_operations(program, options.sizes),
                       .memory = report_memory(program, plan, options.sizes),
                       .activations = report_activations(program, plan)};
  for (const Buffer& buffer : program.buffers())
    report.tensors.insert(report.tensors.end(), buffer.tensors.begin(), buffer.tensors.end());
  return report;
}

}  // namespace ddpm
