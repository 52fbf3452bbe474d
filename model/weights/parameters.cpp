#include "model/weights/parameters.h"

#include <cmath>

#include "kernels/random.h"
#include "support/error.h"

namespace ddpm {
namespace {

// Calls copy(index in our order, index in PyTorch's order) for every element.
template <typename Copy>
void for_each_element(const NamedTensor& tensor, size_t elements, const Copy& copy) {
  DDPM_CHECK(static_cast<int64_t>(elements) == element_count(tensor.shape));
  if (tensor.layout == TensorLayout::kSame) {
    for (size_t i = 0; i < elements; ++i) copy(i, i);
    return;
  }
  // Either layout is a number of matrices, (rows, columns) in PyTorch, each transposed here.
  const bool filter = tensor.layout == TensorLayout::kFilter;
  const size_t matrices = filter ? tensor.shape.at(0) : 1, rows = tensor.shape.at(filter ? 1 : 0),
               columns = elements / (matrices * rows);
  for (size_t matrix = 0; matrix < matrices; ++matrix)
    for (size_t column = 0; column < columns; ++column)
      for (size_t row = 0; row < rows; ++row)
        copy((matrix * columns + column) * rows + row, (matrix * rows + row) * columns + column);
}

double uniform_limit(const NamedTensor& tensor) {
  const Shape& shape = tensor.shape;
  const int64_t filter = shape.size() == 4 ? shape[2] * shape[3] : 1;
  const double fan_in =
      static_cast<double>(tensor.initial.fan_in > 0 ? tensor.initial.fan_in : shape.at(1) * filter);
  const double value = tensor.initial.value;
  if (tensor.initial.kind == InitialValue::Kind::kFanInUniform) return value / std::sqrt(fan_in);
  const double fan_out = static_cast<double>(shape[0] * filter);
  return std::sqrt(3 * value / ((fan_in + fan_out) / 2));
}

void initialize(const NamedTensor& tensor, RandomKey key, std::span<float> values) {
  const InitialValue& initial = tensor.initial;
  if (initial.kind == InitialValue::Kind::kConstant) {
    for (float& value : values) value = static_cast<float>(initial.value);
    return;
  }
  if (initial.kind == InitialValue::Kind::kNormal) {
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(initial.value) * normal(key, 0, i);
    return;
  }
  const double limit = uniform_limit(tensor);
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<float>(limit * (2.0 * uniform_open(random_bits(key, 0, i)) - 1.0));
}

}  // namespace

void for_each_tensor(const Program& program, const std::function<void(const NamedTensor&, int64_t)>& visit) {
  for (const Buffer& buffer : program.buffers()) {
    if (buffer.role != Role::kParameter) continue;
    const int64_t row_elements = element_count(buffer.shape) / buffer.shape[0];
    for (const NamedTensor& tensor : buffer.tensors)
      visit(tensor, buffer.arena_offset + tensor.first_row * row_elements);
  }
}

void to_pytorch_order(const NamedTensor& tensor, std::span<const float> ours, std::span<float> theirs) {
  DDPM_CHECK(ours.size() == theirs.size());
  for_each_element(tensor, ours.size(), [&](size_t our, size_t their) { theirs[their] = ours[our]; });
}

void from_pytorch_order(const NamedTensor& tensor, std::span<const float> theirs, std::span<float> ours) {
  DDPM_CHECK(ours.size() == theirs.size());
  for_each_element(tensor, ours.size(), [&](size_t our, size_t their) { ours[our] = theirs[their]; });
}

std::vector<float> initial_parameters(const Program& program, uint64_t seed) {
  std::vector<float> arena(static_cast<size_t>(program.parameter_elements()), 0.0f);
  uint32_t number = 0;
  for_each_tensor(program, [&](const NamedTensor& tensor, int64_t offset) {
    const std::span<float> values(arena.data() + offset, static_cast<size_t>(element_count(tensor.shape)));
    initialize(tensor, random_key(seed, RandomStream::kInitialise, number++), values);
  });
  return arena;
}

}  // namespace ddpm
