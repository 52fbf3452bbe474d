// Converts a network's parameters between the arena in which they are trained and the named tensors of files.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "runtime/program/program.h"

namespace ddpm {

// Calls visit(tensor, offset) for every named tensor of the program, in order of the arena; `offset` is the
// tensor's first element in the arena.
void for_each_tensor(const Program& program, const std::function<void(const NamedTensor&, int64_t)>& visit);

// Copies one tensor between the arena's order and PyTorch's (NamedTensor::layout). Both spans hold the
// tensor's elements alone.
void to_pytorch_order(const NamedTensor& tensor, std::span<const float> ours, std::span<float> theirs);
void from_pytorch_order(const NamedTensor& tensor, std::span<const float> theirs, std::span<float> ours);

// The arena's values before training: a pure function of the program and the seed. Padding is zero.
std::vector<float> initial_parameters(const Program& program, uint64_t seed);

}  // namespace ddpm
