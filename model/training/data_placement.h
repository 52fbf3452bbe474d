// Where a data set's images are while a network trains on them. Either way the same numbers are computed,
// bit for bit.
#pragma once

#include <cstdint>

namespace ddpm {

enum class DataPlacement : uint8_t {
  kAuto,      // resident where that leaves the network half of the free memory
  kResident,  // whole in the device's memory; on the CPU the file is mapped
  kStreamed,  // a batch at a time: a thread reads ahead
};

// kResident or kStreamed. free_bytes: of the device, before the network takes its part; 0: no matter.
constexpr DataPlacement place_data(DataPlacement asked, int64_t dataset_bytes, int64_t free_bytes) {
  if (asked != DataPlacement::kAuto) return asked;
  return free_bytes > 0 && dataset_bytes > free_bytes / 2 ? DataPlacement::kStreamed
                                                          : DataPlacement::kResident;
}

}  // namespace ddpm
