// What tests of kernels need in both builds of them, for the emulator and for a GPU: streams to run on,
// and buffers from and to vectors.
#pragma once

#include <vector>

#include "device/memory.h"

#ifdef DDPM_LINKS_EMULATOR
#include "device/emulator/emulator.h"
#endif

namespace ddpm {

// A kernel must give the same bits on each of these: in the emulator all orders of threads (forward,
// reversed, and shuffled by two seeds), on a GPU twice the order that there is.
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
