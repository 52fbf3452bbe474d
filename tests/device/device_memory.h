// Streams and buffer helpers that kernel tests use in both builds, emulator and GPU.
#pragma once

#include <vector>

#include "device/memory.h"

#ifdef DDPM_LINKS_EMULATOR
#include "device/emulator/emulator.h"
#endif

namespace ddpm {

// Streams on which a kernel must give the same bits: in the emulator one per thread order (forward, reversed,
// and shuffled with two seeds), on a GPU two ordinary streams.
inline std::vector<Stream> streams_of_every_order() {
  std::vector<Stream> streams;
#ifdef DDPM_LINKS_EMULATOR
  using emulator::ThreadOrder;
  streams.push_back(emulator::make_stream({ThreadOrder::kForward, 0}));
  streams.push_back(emulator::make_stream({ThreadOrder::kReversed, 0}));
  streams.push_back(emulator::make_stream({ThreadOrder::kShuffled, 1}));
  streams.push_back(emulator::make_stream({ThreadOrder::kShuffled, 2}));
#else
  streams.resize(2);
#endif
  return streams;
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
