// Where a data set's images are during training. The results are the same, bit for bit.
#pragma once

#include <cstdint>

namespace ddpm {

enum class DataPlacement : uint8_t {
  kAuto,      // resident if that leaves the network half of the free memory
  kResident,  // all in the device's memory; on the CPU the file is mapped
  kStreamed,  // a batch at a time, prefetched by a thread
};

// kResident or kStreamed. free_bytes: of the device, before the network is allocated; 0: unlimited.
constexpr DataPlacement place_data(DataPlacement requested, int64_t dataset_bytes, int64_t free_bytes) {
  if (requested != DataPlacement::kAuto) return requested;
  return free_bytes > 0 && dataset_bytes > free_bytes / 2 ? DataPlacement::kStreamed
                                                          : DataPlacement::kResident;
}

}  // namespace ddpm
