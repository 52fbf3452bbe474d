#include "runtime/program/program.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

#include "support/error.h"

namespace ddpm {
namespace {

// Parameters start at multiples of this many elements: 128 bytes of bf16, so that no vector load or memory
// sector straddles two parameters.
constexpr int64_t kParameterAlignment = 64;

int64_t align(int64_t offset) {
  return (offset + kParameterAlignment - 1) / kParameterAlignment * kParameterAlignment;
}

}  // namespace

int64_t element_count(const Shape& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

BufferId Program::add_buffer(std::string name, Shape shape, Role role, DType dtype) {
  for (const int64_t extent : shape) DDPM_CHECK(extent > 0);
  Buffer buffer;
  buffer.name = std::move(name);
  buffer.shape = std::move(shape);
  buffer.dtype = dtype;
  buffer.role = role;
  buffers_.push_back(std::move(buffer));
  return static_cast<BufferId>(buffers_.size() - 1);
}

BufferId Program::add_parameter(std::string name, Shape shape, std::vector<NamedTensor> tensors) {
  int64_t row = 0;
  for (NamedTensor& tensor : tensors) {
    tensor.first_row = row;
    row += tensor.rows();
    DDPM_CHECK(element_count(tensor.shape) * shape.at(0) == element_count(shape) * tensor.rows());
  }
  DDPM_CHECK(row == shape.at(0));
  for (const Buffer& buffer : buffers_)
    DDPM_CHECK(buffer.role != Role::kParameterArena && buffer.role != Role::kGradientArena);
  const BufferId id = add_buffer(std::move(name), std::move(shape), Role::kParameter, DType::kMaster);
  Buffer& buffer = buffers_.back();
  buffer.tensors = std::move(tensors);
  buffer.arena_offset = parameter_elements_;
  parameter_elements_ = align(parameter_elements_ + element_count(buffer.shape));
  return id;
}

BufferId Program::gradient_of_parameter(BufferId parameter) {
  if (const BufferId known = buffer(parameter).gradient; known != kNoBuffer) return known;
  DDPM_CHECK(buffer(parameter).role == Role::kParameter);
  const BufferId id = add_buffer(buffer(parameter).name + ".gradient", buffer(parameter).shape,
                                 Role::kParameterGradient, DType::kMaster);
  buffers_.back().arena_offset = buffer(parameter).arena_offset;
  buffers_[static_cast<size_t>(parameter)].gradient = id;
  return id;
}

BufferId Program::arena(Role role, const char* name) {
  for (size_t i = 0; i < buffers_.size(); ++i)
    if (buffers_[i].role == role) return static_cast<BufferId>(i);
  return add_buffer(name, {parameter_elements_}, role, DType::kMaster);
}

void Program::add(std::string name, Phase phase, const AnyOperation& operation) {
  for (const Operand& operand : operands(operation))
    DDPM_CHECK(operand.buffer >= 0 && operand.buffer < static_cast<BufferId>(buffers_.size()));
  operations_.push_back({std::move(name), phase, operation});
}

void Program::keep(BufferId activation) {
  Buffer& kept = buffers_.at(static_cast<size_t>(activation));
  if (kept.role == Role::kActivation) kept.role = Role::kState;
}

BufferId Program::find(std::string_view name) const {
  for (size_t i = 0; i < buffers_.size(); ++i)
    if (buffers_[i].name == name) return static_cast<BufferId>(i);
  throw LogicError(fmt::format("the program has no buffer named '{}'", name));
}

int64_t Program::gradient_elements() const {
  const bool has_gradients = std::any_of(buffers_.begin(), buffers_.end(), [](const Buffer& buffer) {
    return buffer.role == Role::kParameterGradient || buffer.role == Role::kGradientArena;
  });
  return has_gradients ? parameter_elements_ : 0;
}

int64_t Program::parameter_count() const {
  int64_t count = 0;
  for (const Buffer& buffer : buffers_)
    if (buffer.role == Role::kParameter) count += element_count(buffer.shape);
  return count;
}

}  // namespace ddpm
