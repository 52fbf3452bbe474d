#include "runtime/program_memory.h"

namespace ddpm {

using Contents = ExecutorDevice::Contents;

ProgramMemory::ProgramMemory(const Program& program, ExecutorDevice& device)
    : program_(&program),
      plan_(plan_memory(program, {.compute = element_bytes(device.compute_type()),
                                  .master = element_bytes(device.master_type())})),
      activations_(device.allocate(plan_.arena_bytes, Contents::kUndefined)),
      parameters_(device.allocate(program.parameter_elements() * element_bytes(device.master_type()),
                                  Contents::kZeros)),
      gradients_(device.allocate(program.gradient_elements() * element_bytes(device.master_type()),
                                 Contents::kZeros)) {
  if (device.compute_type() != device.master_type()) {
    DDPM_CHECK(device.compute_type() == ElementType::kBfloat16);
    compute_weights_ = static_cast<BFloat16*>(
        device.allocate(program.parameter_elements() * int64_t{sizeof(BFloat16)}, Contents::kZeros));
  }
  for (size_t i = 0; i < program.buffers().size(); ++i) addresses_.push_back(place(i, device));
}

void* ProgramMemory::place(size_t position, ExecutorDevice& device) const {
  const Buffer& buffer = program_->buffers()[position];
  const Placement& placement = plan_.placements[position];
  const auto offset = [](void* arena, int64_t bytes) -> void* {
    return static_cast<std::byte*>(arena) + bytes;
  };
  const int64_t master_bytes = element_bytes(device.master_type());
  switch (buffer.role) {
    case Role::kParameter:
      return offset(parameters_, buffer.arena_offset * master_bytes);
    case Role::kParameterGradient:
      return offset(gradients_, buffer.arena_offset * master_bytes);
    case Role::kParameterArena:
      return parameters_;
    case Role::kGradientArena:
      return gradients_;
    case Role::kActivation:
      return placement.offset < 0 ? nullptr : offset(activations_, placement.offset);
    case Role::kInput:
      if (buffer.dtype == DType::kByte) return nullptr;
      [[fallthrough]];
    case Role::kState:
      return device.allocate(placement.bytes, Contents::kZeros);
  }
  return nullptr;
}

void* ProgramMemory::address(BufferId id) const {
  if (id == kNoBuffer) return nullptr;
  void* found = bound(id);
  DDPM_CHECK(found != nullptr);
  return found;
}

void ProgramMemory::bind(BufferId id, void* address) { addresses_.at(static_cast<size_t>(id)) = address; }

}  // namespace ddpm
