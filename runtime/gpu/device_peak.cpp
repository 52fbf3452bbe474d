#include "runtime/gpu/device_peak.h"

#include <algorithm>
#include <iterator>

namespace ddpm {
namespace {

// FLOPs of a multiprocessor per cycle; a multiply-add is two.
struct Generation {
  int compute_capability;
  double fp32;
  double bf16;  // tensor cores, dense, float accumulation
};
constexpr Generation kGenerations[] = {{80, 128, 2048}, {90, 256, 4096}};

}  // namespace

DevicePeak device_peak(const GpuProperties& properties, ComputePrecision precision) {
  const double bytes = 2 * properties.memory_clock * properties.memory_bits / 8;
  const auto* found = std::find_if(
      std::begin(kGenerations), std::end(kGenerations),
      [&](const Generation& g) { return g.compute_capability == properties.compute_capability; });
  if (found == std::end(kGenerations)) return {.bytes_per_second = bytes};
  const double per_cycle = precision == ComputePrecision::kBf16 ? found->bf16 : found->fp32;
  return {per_cycle * properties.multiprocessors * properties.clock, bytes};
}

}  // namespace ddpm
