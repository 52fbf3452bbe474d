// All device memory of a program: the arenas of parameters, gradients and activations, the states and
// inputs, and where each buffer lies in them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "device/bfloat16.h"
#include "device/memory.h"
#include "runtime/program/memory_plan.h"

namespace ddpm {

// T is float or BFloat16, the type of Element::kReal; masters are float. Addresses are device memory; those
// of kNoBuffer are null, and a buffer of another element type is a LogicError.
template <typename T>
class GpuMemory {
 public:
  // Parameters, gradients, states and inputs begin as zeros; so padding between parameters stays zero for
  // good. What does not fit into the GPU's memory, here or below, is an InputError.
  GpuMemory(const Program& program, StreamView stream);

  const MemoryPlan& plan() const { return plan_; }

  T* real(BufferId id) const { return static_cast<T*>(address(id, Element::kReal)); }
  float* master(BufferId id) const { return static_cast<float*>(address(id, Element::kMaster)); }
  int64_t* index(BufferId id) const { return static_cast<int64_t*>(address(id, Element::kIndex)); }
  uint8_t* byte(BufferId id) const { return static_cast<uint8_t*>(address(id, Element::kByte)); }
  // A matrix from its column `first` on.
  T* column(BufferId matrix, int first) const { return matrix == kNoBuffer ? nullptr : real(matrix) + first; }
  // A parameter in the type that products are computed in.
  T* weight(BufferId parameter) const;

  // The arenas of all parameters and of all gradients, and in bf16 that of the weights computed with; it is
  // empty in float, where the parameters are computed with themselves.
  DeviceSpan<float> parameters() const { return parameters_.span(); }
  DeviceSpan<float> gradients() const { return gradients_.span(); }
  DeviceSpan<BFloat16> compute_weights() const { return compute_weights_.span(); }

  // The memory of a buffer of bytes: allocated at the first call, for bytes are bound to a program that is
  // there already, and the same from then on.
  DeviceSpan<uint8_t> bytes_of(BufferId id);

  // Of everything above.
  int64_t bytes() const { return bytes_; }

 private:
  using Bytes = DeviceBuffer<std::byte>;

  template <typename U>
  DeviceBuffer<U> allocate(int64_t count);
  void* place(size_t position, StreamView stream);
  void* address(BufferId id, Element element) const;

  const Program& program_;
  MemoryPlan plan_;
  int64_t bytes_ = 0;
  Bytes activations_;
  DeviceBuffer<float> parameters_, gradients_;
  DeviceBuffer<BFloat16> compute_weights_;
  std::vector<Bytes> persistent_;
  std::vector<void*> addresses_;  // by BufferId
};

extern template class GpuMemory<float>;
extern template class GpuMemory<BFloat16>;

}  // namespace ddpm
