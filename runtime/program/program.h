// A Program describes a network and everything done with it: a flat list of typed operations on named
// buffers. Shapes, lifetimes, memory offsets, the backward pass, profiler ranges, checkpoint names and the
// drawing of the graph are all derived from it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/program/operations.h"

namespace ddpm {

using Shape = std::vector<int64_t>;

int64_t element_count(const Shape& shape);

// The elements of a buffer; the device chooses the types of the first two.
enum class DType : uint8_t {
  kCompute,  // activations and their gradients: float, double or bf16
  kMaster,   // weights, statistics, losses, tables, optimizer states: float, or double if kCompute is
  kByte,     // images: uint8
  kIndex,    // counters: int64
};

enum class Role : uint8_t {
  kParameter,          // trained; all in one arena, in order of creation
  kParameterGradient,  // in a second arena, at the parameter's offset
  kParameterArena,     // all parameters as one buffer, padding included: what the optimizer works on
  kGradientArena,      // all parameter gradients likewise
  kState,              // lives from step to step: optimizer states, counters, the sampler's image
  kInput,              // constant: data set, tables
  kActivation,         // lives within a step; the memory plan shares its memory with others
};

// A parameter's initial values.
struct InitialValue {
  enum class Kind : uint8_t {
    kConstant,           // value
    kFanAverageUniform,  // uniform in +-sqrt(3 value / ((fan_in + fan_out) / 2)): Ho et al. 2020's code
    kFanInUniform,       // uniform in +-value / sqrt(fan_in): PyTorch's default for most layers
    kNormal,             // N(0, value^2)
  };
  Kind kind = Kind::kConstant;
  double value = 0;
  int64_t fan_in = 0;  // 0: from the tensor's own shape
};

// The order of a tensor's elements in its buffer, compared to PyTorch's.
enum class TensorLayout : uint8_t {
  kSame,
  kFilter,      // (K, C, R, S) there, (K, R, S, C) here
  kTransposed,  // (in, out) there, (out, in) here: a table of embeddings is the transpose of a linear layer
};

// A tensor of a checkpoint or of another framework: some rows of a parameter buffer.
struct NamedTensor {
  std::string name;  // as in diffusers: "down_blocks.0.resnets.1.conv1.weight"
  Shape shape;       // in PyTorch's order
  InitialValue initial;
  TensorLayout layout = TensorLayout::kSame;
  int64_t first_row = 0;  // in the buffer's first dimension

  // The rows that it takes of the buffer's first dimension.
  int64_t rows() const { return layout == TensorLayout::kTransposed ? shape.at(1) : shape.at(0); }
};

struct Buffer {
  std::string name;
  Shape shape;
  DType dtype = DType::kCompute;
  Role role = Role::kActivation;
  std::vector<NamedTensor> tensors;  // of a parameter: its tensors, in order of rows
  int64_t arena_offset = -1;         // of a parameter or its gradient: elements from the arena's start
  BufferId gradient = kNoBuffer;     // of a parameter, in a differentiated program
};

// When an operation runs.
enum class Phase : uint8_t {
  kStart,  // once, before the first step
  kForward,
  kBackward,
  kUpdate,  // optimizer or sampler step
};
inline constexpr const char* kPhaseNames[] = {"start", "forward", "backward", "update"};

struct Operation {
  std::string name;  // the layer's name, as in the tensors' names: "down_blocks.0.resnets.1.conv1"
  Phase phase = Phase::kForward;
  AnyOperation operation;
};

class Program {
 public:
  BufferId add_buffer(std::string name, Shape shape, Role role = Role::kActivation,
                      DType dtype = DType::kCompute);
  // A trained parameter that stacks the given tensors by rows.
  BufferId add_parameter(std::string name, Shape shape, std::vector<NamedTensor> tensors);
  // The gradient buffer of a parameter, created by the first call.
  BufferId gradient_of_parameter(BufferId parameter);
  // The arenas as buffers of parameter_elements(), created by the first call; no
  // parameter may be added after it.
  BufferId parameter_arena() { return arena(Role::kParameterArena, "parameters"); }
  BufferId gradient_arena() { return arena(Role::kGradientArena, "gradients"); }

  void add(std::string name, Phase phase, const AnyOperation& operation);
  // Turns an activation into a state, so that its values can be read after the step.
  void keep(BufferId activation);

  const std::vector<Buffer>& buffers() const { return buffers_; }
  const Buffer& buffer(BufferId id) const { return buffers_.at(static_cast<size_t>(id)); }
  const Shape& shape(BufferId id) const { return buffer(id).shape; }
  const std::vector<Operation>& operations() const { return operations_; }

  // The buffer with this name; LogicError if there is none.
  BufferId find(std::string_view name) const;

  // Elements of the parameter arena, including padding.
  int64_t parameter_elements() const { return parameter_elements_; }
  // Elements of the gradient arena: the same, or 0 if the program computes no gradients.
  int64_t gradient_elements() const;
  // Trained numbers without padding: the count that papers quote.
  int64_t parameter_count() const;

 private:
  BufferId arena(Role role, const char* name);

  std::vector<Buffer> buffers_;
  std::vector<Operation> operations_;
  int64_t parameter_elements_ = 0;
};

}  // namespace ddpm
