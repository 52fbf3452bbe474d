// Reports a Program's operations, costs and memory, as numbers, text and JSON.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/program/memory_plan.h"
#include "runtime/program/program.h"

namespace ddpm {

struct OperationReport {
  std::string name;
  std::string kind;
  Phase phase = Phase::kForward;
  Shape input;             // first activation or image that it reads; empty: none
  Shape output;            // result; empty: it only updates parameters, gradients or counters
  int64_t parameters = 0;  // not used by an earlier operation, so the column adds up
  Cost cost;               // for the whole batch
};

// Sums over operations.
struct CostTotal {
  int64_t operations = 0;
  Cost cost;
};
struct KindTotal {
  std::string kind;
  CostTotal total;
};

// An activation in the arena.
struct ActivationReport {
  std::string name;
  Shape shape;
  Placement placement;
};

// Bytes by role; parameters and gradients include their arenas' padding.
struct MemoryReport {
  int64_t activations = 0;  // the arena, with reuse
  int64_t activations_without_reuse = 0;
  int64_t activations_lower_bound = 0;
  int shared_in_place = 0;
  int64_t parameters = 0;
  int64_t gradients = 0;
  int64_t states = 0;  // optimizer, averaged weights, counters, buffers read after the step
  int64_t inputs = 0;

  int64_t total() const { return activations + parameters + gradients + states + inputs; }
};

struct ProgramReport {
  std::string title;
  int batch = 1;
  ElementSizes sizes;
  int64_t parameters = 0;              // trained numbers, without padding
  std::vector<NamedTensor> tensors{};  // of a checkpoint, in arena order
  std::vector<OperationReport> operations;
  MemoryReport memory;
  std::vector<ActivationReport> activations;  // largest first

  // Sums over one phase, or over all operations.
  CostTotal total(Phase phase) const;
  CostTotal total() const;
  // Sums by kind of operation, most FLOPs first.
  std::vector<KindTotal> totals_by_kind() const;
};

struct ReportOptions {
  std::string title;
  int batch = 1;  // images per run of the program, for figures per image
  ElementSizes sizes;
};

ProgramReport report_program(const Program& program, const MemoryPlan& plan, const ReportOptions& options);

// One screen: sizes, costs per image and step by phase and by kind, memory, and the largest activations.
// GFLOP, MB and GB are decimal.
std::string summary_text(const ProgramReport& report);
// One line per operation in execution order.
std::string operations_text(const ProgramReport& report);
// One line per checkpoint tensor: its name and its shape in PyTorch's order.
std::string tensors_text(const ProgramReport& report);
// The whole report, with every number in FLOPs and bytes.
std::string report_json(const ProgramReport& report);

// "128x64x64x3"
std::string shape_text(const Shape& shape);

}  // namespace ddpm
