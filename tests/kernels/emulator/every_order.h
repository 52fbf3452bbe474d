// Streams for tests that run the same kernels in each of the emulator's orders. Depends on
// kernels/emulator/emulator.h.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "kernels/device/memory.h"
#include "kernels/emulator/emulator.h"

namespace ddpm {

// Forward, reversed, and shuffled by two seeds.
inline std::array<Stream, 4> streams_of_every_order() {
  using emulator::ThreadOrder;
  return {
      emulator::make_stream({ThreadOrder::kForward, 0}), emulator::make_stream({ThreadOrder::kReversed, 0}),
      emulator::make_stream({ThreadOrder::kShuffled, 1}), emulator::make_stream({ThreadOrder::kShuffled, 2})};
}

template <typename T>
DeviceBuffer<T> to_device(const std::vector<T>& values, StreamView stream) {
  DeviceBuffer<T> buffer(values.size());
  copy_to_device(values, buffer.span(), stream);
  return buffer;
}

template <typename T>
std::vector<T> to_host(const DeviceBuffer<T>& buffer, StreamView stream) {
  std::vector<T> values(buffer.size());
  copy_to_host<T>(buffer.span(), values, stream);
  stream.synchronize();
  return values;
}

}  // namespace ddpm
