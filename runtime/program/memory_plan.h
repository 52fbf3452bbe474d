// The memory plan of a Program: offsets of activations in one arena, from their lifetimes,
// fixed before anything runs.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/program/program.h"

namespace ddpm {

// Bytes per element, by DType.
struct ElementSizes {
  int compute = 4;
  int master = 4;

  int bytes(DType dtype) const {
    switch (dtype) {
      case DType::kCompute:
        return compute;
      case DType::kMaster:
        return master;
      case DType::kByte:
        return 1;
      case DType::kIndex:
        return 8;
    }
    return 0;
  }
};

// An activation's place in the arena, and its lifetime from first to last operation, inclusive.
struct Placement {
  int64_t offset = -1;  // bytes; -1: not an activation, or never used
  int64_t bytes = 0;
  int first = -1;
  int last = -1;
};

struct MemoryPlan {
  std::vector<Placement> placements;  // by BufferId
  int64_t arena_bytes = 0;            // with reuse
  int64_t bytes_without_reuse = 0;
  int64_t lower_bound = 0;  // most bytes alive at one operation: no arena can be smaller
  int shared_in_place = 0;  // buffers that take over another's memory (Operand::may_share)
};

// Greedy by size (Pisarchyk & Lee 2020, "Efficient Memory Management for Deep Neural Net
// Inference"): largest buffer first, each at the lowest offset that is free for its whole lifetime.
// Offsets are multiples of 256 bytes.
MemoryPlan plan_memory(const Program& program, const ElementSizes& sizes);

}  // namespace ddpm
