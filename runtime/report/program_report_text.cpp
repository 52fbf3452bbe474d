// Formats a ProgramReport: tables for people, JSON for programs.
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "runtime/report/program_report.h"

namespace ddpm {
namespace {

double giga(double value) { return value * 1e-9; }
double mega(int64_t bytes) { return static_cast<double>(bytes) * 1e-6; }

// 78700803 -> "78,700,803"
std::string grouped(int64_t number) {
  std::string text = std::to_string(number);
  for (auto at = static_cast<int64_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<size_t>(at), ",");
  return text;
}

std::string or_dash(const Shape& shape) { return shape.empty() ? "-" : shape_text(shape); }
std::string or_dash(int64_t number) { return number == 0 ? "-" : grouped(number); }

template <typename... Args>
void append(std::string& text, fmt::format_string<Args...> format, Args&&... args) {
  fmt::format_to(std::back_inserter(text), format, std::forward<Args>(args)...);
}

size_t widest_name(const std::vector<OperationReport>& operations) {
  size_t width = 0;
  for (const OperationReport& operation : operations) width = std::max(width, operation.name.size());
  return width;
}

void append_cost_row(std::string& text, const ProgramReport& report, const std::string& name,
                     const CostTotal& row) {
  const double images = report.batch, all = report.total().cost.flops;
  append(text, "{:32}{:>6}{:>13.3f}{:>13.2f}{:>7.1f}%{:>13.2f}{:>11.2f}\n", name, row.operations,
         giga(row.cost.flops) / images, giga(row.cost.flops), all > 0 ? 100 * row.cost.flops / all : 0.0,
         row.cost.bytes / images * 1e-6, giga(row.cost.bytes));
}

void append_costs(std::string& text, const ProgramReport& report) {
  append(text, "{:32}{:>6}{:>13}{:>13}{:>8}{:>13}{:>11}\n", "operations", "count", "GFLOP/image",
         "GFLOP/step", "share", "MB/image", "GB/step");
  for (const KindTotal& row : report.totals_by_kind()) append_cost_row(text, report, row.kind, row.total);
  text += '\n';
  for (const Phase phase : {Phase::kStart, Phase::kForward, Phase::kBackward, Phase::kUpdate})
    if (const CostTotal sum = report.total(phase); sum.operations > 0)
      append_cost_row(text, report, kPhaseNames[static_cast<size_t>(phase)], sum);
  append_cost_row(text, report, "total", report.total());
}

void append_memory(std::string& text, const ProgramReport& report) {
  const MemoryReport& memory = report.memory;
  const auto row = [&](const char* name, int64_t bytes) {
    append(text, "{:32}{:>12.2f}\n", name, mega(bytes));
  };
  append(text, "{:32}{:>12}\n", "memory", "MB");
  append(text, "{:32}{:>12.2f}   {:.2f} without reuse, at least {:.2f}; {} buffers computed in place\n",
         "activations", mega(memory.activations), mega(memory.activations_without_reuse),
         mega(memory.activations_lower_bound), memory.shared_in_place);
  row("parameters", memory.parameters);
  row("gradients", memory.gradients);
  row("optimizer and other states", memory.states);
  row("inputs", memory.inputs);
  row("total", memory.total());
}

void append_largest_activations(std::string& text, const ProgramReport& report) {
  constexpr size_t kShown = 6;
  append(text, "{:46}{:>20}{:>12}   {}\n", "largest activations", "shape", "MB", "lives through operations");
  for (size_t i = 0; i < std::min(kShown, report.activations.size()); ++i) {
    const ActivationReport& activation = report.activations[i];
    append(text, "{:46}{:>20}{:>12.2f}   {} to {}\n", activation.name, shape_text(activation.shape),
           mega(activation.placement.bytes), activation.placement.first, activation.placement.last);
  }
}

nlohmann::json cost_json(const CostTotal& total) {
  return {{"operations", total.operations}, {"flops", total.cost.flops}, {"bytes", total.cost.bytes}};
}

nlohmann::json operation_json(const OperationReport& operation) {
  return {{"name", operation.name},
          {"kind", operation.kind},
          {"phase", kPhaseNames[static_cast<size_t>(operation.phase)]},
          {"input", operation.input},
          {"output", operation.output},
          {"parameters", operation.parameters},
          {"flops", operation.cost.flops},
          {"bytes", operation.cost.bytes}};
}

nlohmann::json memory_json(const MemoryReport& memory) {
  return {{"activations", memory.activations},
          {"activations_without_reuse", memory.activations_without_reuse},
          {"activations_lower_bound", memory.activations_lower_bound},
          {"shared_in_place", memory.shared_in_place},
          {"parameters", memory.parameters},
          {"gradients", memory.gradients},
          {"states", memory.states},
          {"inputs", memory.inputs},
          {"total", memory.total()}};
}

}  // namespace

std::string shape_text(const Shape& shape) { return fmt::format("{}", fmt::join(shape, "x")); }

std::string summary_text(const ProgramReport& report) {
  std::string text;
  append(text, "{}: {} parameters in {} tensors, {} operations\n", report.title, grouped(report.parameters),
         report.tensors.size(), report.operations.size());
  append(text, "batch {}, {}-byte activations, {}-byte weights and states\n\n", report.batch,
         report.sizes.compute, report.sizes.master);
  append_costs(text, report);
  text += '\n';
  append_memory(text, report);
  text += '\n';
  append_largest_activations(text, report);
  return text;
}

std::string operations_text(const ProgramReport& report) {
  const size_t width = widest_name(report.operations) + 2;
  std::string text;
  append(text, "{:>4}  {:{}}{:10}{:32}{:>18}{:>18}{:>12}{:>12}{:>12}\n", "", "operation", width, "phase",
         "kind", "input", "output", "parameters", "GFLOP", "MB");
  for (size_t i = 0; i < report.operations.size(); ++i) {
    const OperationReport& operation = report.operations[i];
    append(text, "{:>4}  {:{}}{:10}{:32}{:>18}{:>18}{:>12}{:>12.4f}{:>12.3f}\n", i, operation.name, width,
           kPhaseNames[static_cast<size_t>(operation.phase)], operation.kind, or_dash(operation.input),
           or_dash(operation.output), or_dash(operation.parameters), giga(operation.cost.flops),
           operation.cost.bytes * 1e-6);
  }
  return text;
}

std::string tensors_text(const ProgramReport& report) {
  std::string text;
  append(text, "{:56}{:>20}{:>14}\n", "tensor", "shape", "parameters");
  for (const NamedTensor& tensor : report.tensors)
    append(text, "{:56}{:>20}{:>14}\n", tensor.name, shape_text(tensor.shape),
           grouped(element_count(tensor.shape)));
  return text;
}

std::string report_json(const ProgramReport& report) {
  nlohmann::json json{{"title", report.title},
                      {"batch", report.batch},
                      {"bytes_per_activation", report.sizes.compute},
                      {"bytes_per_weight", report.sizes.master},
                      {"parameters", report.parameters},
                      {"total", cost_json(report.total())},
                      {"memory", memory_json(report.memory)}};
  for (const Phase phase : {Phase::kStart, Phase::kForward, Phase::kBackward, Phase::kUpdate})
    json["phases"][kPhaseNames[static_cast<size_t>(phase)]] = cost_json(report.total(phase));
  for (const KindTotal& row : report.totals_by_kind()) json["kinds"][row.kind] = cost_json(row.total);
  for (const NamedTensor& tensor : report.tensors)
    json["tensors"].push_back({{"name", tensor.name}, {"shape", tensor.shape}});
  for (const OperationReport& operation : report.operations)
    json["operations"].push_back(operation_json(operation));
  for (const ActivationReport& activation : report.activations)
    json["activations"].push_back({{"name", activation.name},
                                   {"shape", activation.shape},
                                   {"bytes", activation.placement.bytes},
                                   {"offset", activation.placement.offset},
                                   {"first_operation", activation.placement.first},
                                   {"last_operation", activation.placement.last}});
  return json.dump(1) + "\n";
}

}  // namespace ddpm
