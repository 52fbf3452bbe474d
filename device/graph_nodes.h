// Node counts of a graph.
#pragma once

#include <cstdint>

namespace ddpm {

// Nodes by type; those of child graphs are included.
struct GraphNodes {
  int64_t kernels = 0;
  int64_t memsets = 0;
  int64_t copies = 0;
  int64_t events = 0;  // event records
  int64_t others = 0;

  int64_t total() const { return kernels + memsets + copies + events + others; }
  bool operator==(const GraphNodes&) const = default;
};

}  // namespace ddpm
