// The memory plan as a picture: time to the right, addresses upwards.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/program/memory_plan.h"

namespace ddpm {

// A piece of the arena: one activation, or several that take over from each other in place.
struct MemoryBlock {
  std::vector<BufferId> buffers;  // in order of their lives
  int64_t offset = 0;
  int64_t bytes = 0;  // of the largest
  int first = 0;      // operation, likewise
  int last = 0;
};

// Every placed activation is in exactly one block, and no two blocks share both an address and an operation.
std::vector<MemoryBlock> memory_blocks(const MemoryPlan& plan);

// A complete SVG file: one rectangle a block, colored by what computes it, its name as a tooltip.
std::string memory_plan_svg(const Program& program, const MemoryPlan& plan, const std::string& title);

}  // namespace ddpm
