#include "runtime/gpu/gpu_memory.h"

#include <utility>

#include "device/cuda_error.h"
#include "support/error.h"

namespace ddpm {
namespace {

constexpr int kOutOfMemory = 2;  // cudaErrorMemoryAllocation

}  // namespace

template <typename T>
GpuMemory<T>::GpuMemory(const Program& program, StreamView stream)
    : program_(program),
      plan_(plan_memory(program, {.real = sizeof(T), .master = sizeof(float)})),
      activations_(allocate<std::byte>(plan_.arena_bytes)),
      parameters_(allocate<float>(program.parameter_elements())),
      gradients_(allocate<float>(program.gradient_elements())),
      compute_weights_(allocate<BFloat16>(std::is_same_v<T, float> ? 0 : program.parameter_elements())) {
  fill_bytes(parameters(), 0, stream);
  fill_bytes(gradients(), 0, stream);
  fill_bytes(compute_weights(), 0, stream);
  for (size_t i = 0; i < program.buffers().size(); ++i) addresses_.push_back(place(i, stream));
}

template <typename T>
template <typename U>
DeviceBuffer<U> GpuMemory<T>::allocate(int64_t count) {
  const int64_t bytes = count * int64_t{sizeof(U)};
  bytes_ += bytes;
  try {
    return DeviceBuffer<U>(static_cast<size_t>(count));
  } catch (const CudaError& error) {
    if (error.code() != kOutOfMemory) throw;
    throw_input(
        "the GPU's memory does not hold {:.0f} MB beside the {:.0f} MB already in use: take a smaller batch",
        static_cast<double>(bytes) / 1e6, static_cast<double>(bytes_ - bytes) / 1e6);
  }
}

template <typename T>
void* GpuMemory<T>::place(size_t position, StreamView stream) {
  const Buffer& buffer = program_.buffers()[position];
  const Placement& placement = plan_.placements[position];
  switch (buffer.role) {
    case Role::kParameter:
      return parameters_.data() + buffer.arena_offset;
    case Role::kParameterGradient:
      return gradients_.data() + buffer.arena_offset;
    case Role::kActivation:
      return placement.offset < 0 ? nullptr : activations_.data() + placement.offset;
    case Role::kInput:
      if (buffer.element == Element::kByte) return nullptr;  // bytes_of gives it an address
      [[fallthrough]];
    case Role::kState:
      persistent_.push_back(allocate<std::byte>(placement.bytes));
      fill_bytes(persistent_.back().span(), 0, stream);
      return persistent_.back().data();
  }
  return nullptr;
}

template <typename T>
void* GpuMemory<T>::address(BufferId id, Element element) const {
  if (id == kNoBuffer) return nullptr;
  DDPM_CHECK(program_.buffer(id).element == element);
  void* found = addresses_.at(static_cast<size_t>(id));
  DDPM_CHECK(found != nullptr);
  return found;
}

template <typename T>
T* GpuMemory<T>::weight(BufferId parameter) const {
  if (parameter == kNoBuffer) return nullptr;
  if constexpr (std::is_same_v<T, float>) {
    return master(parameter);
  } else {
    DDPM_CHECK(program_.buffer(parameter).role == Role::kParameter);
    return compute_weights_.data() + program_.buffer(parameter).arena_offset;
  }
}

template <typename T>
DeviceSpan<uint8_t> GpuMemory<T>::bytes_of(BufferId id) {
  const Buffer& buffer = program_.buffer(id);
  DDPM_CHECK(buffer.role == Role::kInput && buffer.element == Element::kByte);
  const int64_t count = element_count(buffer.shape);
  void*& found = addresses_.at(static_cast<size_t>(id));
  if (found == nullptr) {
    persistent_.push_back(allocate<std::byte>(count));
    found = persistent_.back().data();
  }
  return {static_cast<uint8_t*>(found), static_cast<size_t>(count)};
}

template class GpuMemory<float>;
template class GpuMemory<BFloat16>;

}  // namespace ddpm
