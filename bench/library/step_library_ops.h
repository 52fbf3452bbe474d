// The library ops of one training step: which convolutions and GEMMs, how often, for
// which layer, at what cost.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "kernels/cost.h"
#include "runtime/library/library_problems.h"
#include "runtime/program/program.h"

namespace ddpm {

// What a library op computes for its layer.
enum class LibraryOpRole : uint8_t { kForward, kDataGradient, kWeightGradient };
inline constexpr const char* kLibraryOpRoleNames[] = {"forward", "data_gradient", "weight_gradient"};

using LibraryProblem = std::variant<ConvolutionProblem, GemmProblem>;

struct StepLibraryOp {
  LibraryProblem problem;
  LibraryOpRole role;
  std::string layer;  // the first layer that needs it: "down_blocks.0.resnets.0.conv1"
  std::string shape;  // of that layer: "conv 3x3 128x64x64x128 -> 64x64x128"
  int count = 1;      // calls per step
  // Unique: "down_blocks.0.resnets.0.conv1/forward"; "/1", "/2" follow if the layer has several in that role.
  std::string name;
};

// The program's library ops in bf16, without optional fusions: each distinct problem once, in the order in
// which a step first needs them.
std::vector<StepLibraryOp> step_library_ops(const Program& program);

// A pass of a layer that can be computed in two forms.
struct StepChoice {
  std::variant<Conv2dShape, UpsampleConv2dShape> shape;  // a Conv2dShape: 1x1 with its whole filter
  LibraryOpRole role;
  std::string layer;
  int count = 1;
  std::string name;  // "mid_block.attentions.0.to_out.0/forward"
};

// 1x1 convolutions (a GEMM, or the library's convolution) and convolutions after upsampling
// (folded or literal), each distinct shape once. A 1x1 convolution with part of a filter counts as
// one with a filter of that size.
std::vector<StepChoice> step_choices(const Program& program);

// FLOPs, and bytes if each operand is read once and the result is written once (and read, if accumulated).
Cost cost(const ConvolutionProblem& problem);
Cost cost(const GemmProblem& problem);

// The bytes of (x, w, y), and of (a, b, c) from the start of each tensor to the last element used.
std::array<int64_t, 3> tensor_bytes(const ConvolutionProblem& problem);
std::array<int64_t, 3> tensor_bytes(const GemmProblem& problem);

// "conv 1x1 128x8x8x512 -> 8x8x256", "upsample conv 3x3 128x4x4x512 -> 8x8x512"
std::string layer_shape(const Conv2dShape& shape);
std::string layer_shape(const UpsampleConv2dShape& shape);

}  // namespace ddpm
