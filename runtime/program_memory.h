// A program's memory on a device: the arenas of parameters, gradients and activations, the states and inputs,
// and each buffer's address.
#pragma once

#include <cstdint>
#include <type_traits>
#include <vector>

#include "device/bfloat16.h"
#include "kernels/operation.h"
#include "kernels/sampler_step.h"
#include "runtime/executor_device.h"
#include "runtime/program/memory_plan.h"
#include "support/error.h"

namespace ddpm {

class ProgramMemory {
 public:
  // Allocates everything except byte inputs, which have no address until bind(). Parameters,
  // gradients, states and inputs start as zeros, so padding between parameters stays zero. Program and
  // device must outlive this object.
  ProgramMemory(const Program& program, ExecutorDevice& device);

  const Program& program() const { return *program_; }
  const MemoryPlan& plan() const { return plan_; }

  // Null for kNoBuffer. LogicError for a buffer without memory, such as a byte input before bind().
  void* address(BufferId id) const;
  void bind(BufferId id, void* address);
  // Null if the buffer has no address.
  void* bound(BufferId id) const { return addresses_.at(static_cast<size_t>(id)); }

  // The arenas of all parameters and of all gradients, in master_type().
  void* parameters() const { return parameters_; }
  void* gradients() const { return gradients_; }
  // The bf16 copy of the parameters that layers compute with; null if both types are the same and layers use
  // the parameters themselves.
  BFloat16* compute_weights() const { return compute_weights_; }

 private:
  void* place(size_t position, ExecutorDevice& device) const;

  const Program* program_;
  MemoryPlan plan_;
  void* activations_;
  void* parameters_;
  void* gradients_;
  BFloat16* compute_weights_ = nullptr;
  std::vector<void*> addresses_;  // by BufferId
};

// A ProgramMemory as the Memory of Operation::args (kernels/operation.h), for a device with compute type T
// and master type M. LogicError for a pointer to a type other than the buffer's.
template <typename T, typename M>
class BufferView {
 public:
  using Compute = T;
  using Master = M;

  explicit BufferView(const ProgramMemory& memory) : memory_(&memory) {}

  class Address {
   public:
    Address(const BufferView& view, BufferId id, int column) : view_(view), id_(id), column_(column) {}
    template <typename U>
    operator U*() const {  // NOLINT(google-explicit-constructor): the argument's type selects U
      U* found = view_.at<std::remove_const_t<U>>(id_);
      return found == nullptr ? nullptr : found + column_;
    }

   private:
    const BufferView& view_;
    BufferId id_;
    int column_;
  };
  Address read(const char*, BufferId id, int column = 0) const { return {*this, id, column}; }
  Address write(const char*, BufferId id, BufferId = kNoBuffer) const { return {*this, id, 0}; }
  Address write_columns(const char*, BufferId id, int column) const { return {*this, id, column}; }
  Address update(const char*, BufferId id) const { return {*this, id, 0}; }
  BFloat16* compute_weights() const { return memory_->compute_weights(); }

  // A parameter as T, if T is not M, is its copy in the compute weights.
  template <typename U>
  U* at(BufferId id) const {
    if (id == kNoBuffer) return nullptr;
    const Buffer& buffer = memory_->program().buffer(id);
    if constexpr (std::is_same_v<T, BFloat16> && std::is_same_v<U, T>) {
      if (buffer.role == Role::kParameter) return memory_->compute_weights() + buffer.arena_offset;
    }
    DDPM_CHECK(is_stored_as<U>(buffer.dtype));
    return static_cast<U*>(memory_->address(id));
  }

 private:
  template <typename U>
  static constexpr bool is_stored_as(DType dtype) {
    switch (dtype) {
      case DType::kCompute:
        return std::is_same_v<U, T>;
      case DType::kMaster:  // a sampler's table is a master buffer too
        return std::is_same_v<U, M> || std::is_same_v<U, SamplerRow<M>>;
      case DType::kByte:
        return std::is_same_v<U, uint8_t>;
      case DType::kIndex:
        return std::is_same_v<U, int64_t>;
    }
    return false;
  }

  const ProgramMemory* memory_;
};

}  // namespace ddpm
