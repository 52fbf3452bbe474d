// The one description of a network and of everything that is done with it: a flat list of typed operations over
// named buffers. Shapes, lifetimes, memory offsets, the backward pass, profiler ranges, checkpoint names and the
// drawing of the graph all come from it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/program/operations.h"

namespace ddpm {

using Shape = std::vector<int64_t>;

int64_t element_count(const Shape& shape);

// What a buffer's elements are; the device gives the first two their type.
enum class DType : uint8_t {
  kCompute,  // activations and their gradients: float, double or bf16
  kMaster,   // weights, statistics, losses, tables, optimizer states: float; double where kCompute is
  kByte,     // images: uint8
  kIndex,    // counters: int64
};

enum class Role : uint8_t {
  kParameter,          // trained; all are in one arena, in order of creation
  kParameterGradient,  // in a second arena, at the parameter's offset
  kParameterArena,     // all parameters as one buffer, padding included: what the optimizer works on
  kGradientArena,      // all gradients of parameters likewise
  kState,              // lives from step to step: optimizer states, counters, the sampler's image
  kInput,              // constant: data set, tables
  kActivation,         // lives within a step; the memory plan shares its memory with others
};

// How a parameter starts out.
struct InitialValue {
  enum class Kind : uint8_t {
    kConstant,           // value
    kFanAverageUniform,  // uniform in +-sqrt(3 value / ((fan_in + fan_out) / 2)): Ho et al. 2020's code
    kFanInUniform,  // uniform in +-value / sqrt(fan_in): PyTorch's default for convolutions and linear layers
    kNormal,        // N(0, value^2)
  };
  Kind kind = Kind::kConstant;
  double value = 0;
  int64_t fan_in = 0;  // 0: from the tensor's own shape
};

// The order of a tensor's elements in our buffer; PyTorch's is the order of the shape.
enum class TensorLayout : uint8_t {
  kSame,
  kFilter,      // (K, C, R, S) there, (K, R, S, C) here
  kTransposed,  // (in, out) there, (out, in) here: a table of embeddings is the transpose of a linear layer
};

// A tensor as checkpoints and other frameworks know it: some rows of a parameter buffer.
struct NamedTensor {
  std::string name;  // diffusers' name: "down_blocks.0.resnets.1.conv1.weight"
  Shape shape;       // in PyTorch's order
  InitialValue initial;
  TensorLayout layout = TensorLayout::kSame;
  int64_t first_row = 0;  // in the buffer's first dimension

  // How many rows of the buffer's first dimension it takes.
  int64_t rows() const { return layout == TensorLayout::kTransposed ? shape.at(1) : shape.at(0); }
};

struct Buffer {
  std::string name;
  Shape shape;
  DType dtype = DType::kCompute;
  Role role = Role::kActivation;
  std::vector<NamedTensor> tensors;  // of a parameter: what it holds, in order of rows
  int64_t arena_offset = -1;         // of a parameter or its gradient: elements from the arena's start
  BufferId gradient = kNoBuffer;     // of a parameter, once the program was differentiated
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
  // A trained parameter made of the given tensors, stacked by rows.
  BufferId add_parameter(std::string name, Shape shape, std::vector<NamedTensor> tensors);
  // The gradient buffer of a parameter: made at the first call.
  BufferId gradient_of_parameter(BufferId parameter);
  // The arenas as buffers (parameter_elements()), made at the first call; no parameter is added after it.
  BufferId parameter_arena() { return arena(Role::kParameterArena, "parameters"); }
  BufferId gradient_arena() { return arena(Role::kGradientArena, "gradients"); }

  void add(std::string name, Phase phase, const AnyOperation& operation);
  // The activation becomes a state: its values can be read after the step.
  void keep(BufferId activation);

  const std::vector<Buffer>& buffers() const { return buffers_; }
  const Buffer& buffer(BufferId id) const { return buffers_.at(static_cast<size_t>(id)); }
  const Shape& shape(BufferId id) const { return buffer(id).shape; }
  const std::vector<Operation>& operations() const { return operations_; }

  // The buffer of that name; LogicError where there is none.
  BufferId find(std::string_view name) const;

  // Elements of the arena of all parameters, padding between them included.
  int64_t parameter_elements() const { return parameter_elements_; }
  // Of the arena of all parameters' gradients: the same number, or 0 where the program computes no gradients.
  int64_t gradient_elements() const;
  // Trained numbers, padding excluded: the count that papers quote.
  int64_t parameter_count() const;

 private:
  BufferId arena(Role role, const char* name);

  std::vector<Buffer> buffers_;
  std::vector<Operation> operations_;
  int64_t parameter_elements_ = 0;
};

}  // namespace ddpm
