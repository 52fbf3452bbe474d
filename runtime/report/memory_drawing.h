// Draws a memory plan: time to the right, addresses upward.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/program/memory_plan.h"

namespace ddpm {

// A piece of the arena: one activation, or several that take it over from each other in place.
struct MemoryBlock {
  std::vector<BufferId> buffers;  // in order of their lifetimes
  int64_t offset = 0;
  int64_t bytes = 0;  // of the largest
  int first = 0;      // first operation of all their lifetimes
  int last = 0;       // last operation
};

// Every placed activation is in exactly one block, and no two blocks share both an address and an operation.
std::vector<MemoryBlock> memory_blocks(const MemoryPlan& plan);

// A complete SVG file: one rectangle per block, colored by the operation that computes it,
// with its name as tooltip.
std::string memory_plan_svg(const Program& program, const MemoryPlan& plan, const std::string& title);

}  // namespace ddpm
