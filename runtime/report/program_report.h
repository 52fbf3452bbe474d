// What a Program consists of, what it costs and what memory it takes: as numbers, as text and as JSON.
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
  Shape input;             // of the first activation or image that it reads; empty: none
  Shape output;            // of what it computes; empty: it only updates parameters, gradients or counters
  int64_t parameters = 0;  // that no operation before it has used, so that the column adds up
  Cost cost;               // of the whole batch
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

// Bytes by role; parameters and gradients with the padding of their arenas.
struct MemoryReport {
  int64_t activations = 0;  // the arena's, with reuse
  int64_t activations_without_reuse = 0;
  int64_t activations_lower_bound = 0;
  int shared_in_place = 0;
  int64_t parameters = 0;
  int64_t gradients = 0;
  int64_t states = 0;  // optimiser, averaged weights, counters, buffers that are read after the step
  int64_t inputs = 0;

  int64_t total() const { return activations + parameters + gradients + states + inputs; }
};

struct ProgramReport {
  std::string title;
  int batch = 1;
  ElementSizes sizes;
  int64_t parameters = 0;              // trained numbers, padding excluded
  std::vector<NamedTensor> tensors{};  // that they make up in a checkpoint, in order of the arena
  std::vector<OperationReport> operations;
  MemoryReport memory;
  std::vector<ActivationReport> activations;  // largest first

  // Of the operations of one phase, or of all.
  CostTotal total(Phase phase) const;
  CostTotal total() const;
  // By kind of operation, most FLOPs first.
  std::vector<KindTotal> totals_by_kind() const;
};

struct ReportOptions {
  std::string title;
  int batch = 1;  // images that one run of the program works on: the divisor of figures an image
  ElementSizes sizes;
};

ProgramReport report_program(const Program& program, const MemoryPlan& plan, const ReportOptions& options);

// One screen: sizes, costs an image and a step by phase and by kind, memory, the largest activations.
// GFLOP, MB and GB are decimal.
std::string summary_text(const ProgramReport& report);
// One line for each operation in order of execution.
std::string operations_text(const ProgramReport& report);
// One line for each tensor of a checkpoint: its name and its shape in PyTorch's order.
std::string tensors_text(const ProgramReport& report);
// All of it, with every number in FLOPs and bytes.
std::string report_json(const ProgramReport& report);

// "128x64x64x3"
std::string shape_text(const Shape& shape);

}  // namespace ddpm
