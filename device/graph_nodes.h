// What a graph consists of.
#pragma once

#include <cstdint>

namespace ddpm {

// Nodes of a graph, by what they do; those of graphs inside it count as its own.
struct GraphNodes {
  int64_t kernels = 0;
  int64_t memsets = 0;
  int64_t copies = 0;
  int64_t events = 0;  // records of them
  int64_t others = 0;

  int64_t total() const { return kernels + memsets + copies + events + others; }
  bool operator==(const GraphNodes&) const = default;
};

}  // namespace ddpm
