#include "model/weights/arena_file.h"

#include <fmt/ranges.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <set>
#include <utility>

#include "model/weights/parameters.h"
#include "support/error.h"

namespace ddpm {
namespace {

std::string shape_text(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

// All differences between a file's tensors and a program's.
class Differences {
 public:
  void missing(const std::string& name) { add("missing", name); }
  void unknown(const std::string& name) { add("unknown", name); }
  void misshapen(const std::string& name, const Shape& found, const Shape& expected) {
    add("misshapen", fmt::format("{} is {} instead of {}", name, shape_text(found), shape_text(expected)));
  }
  void throw_if_any(const std::string& where) const {
    if (lists_.empty()) return;
    std::string text;
    for (const auto& [kind, names] : lists_)
      text += fmt::format("; {} ({}): {}", kind, names.size(), fmt::join(names, ", "));
    throw_input("{} does not hold this network's weights: it belongs to another configuration{}", where,
                text);
  }

 private:
  void add(const char* kind, std::string name) { lists_[kind].push_back(std::move(name)); }
  std::map<std::string, std::vector<std::string>> lists_;
};

Shape without_trailing_ones(Shape shape) {
  while (!shape.empty() && shape.back() == 1) shape.pop_back();
  return shape;
}

// To the nearest, ties to even; a NaN stays one.
uint16_t to_bfloat16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

std::vector<uint8_t> stored(std::span<const float> values, StoredType type) {
  std::vector<uint8_t> bytes;
  if (type == StoredType::kFloat32) {
    const auto* first = reinterpret_cast<const uint8_t*>(values.data());
    bytes.assign(first, first + values.size_bytes());
    return bytes;
  }
  bytes.resize(values.size() * sizeof(uint16_t));
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t half = to_bfloat16(values[i]);
    std::memcpy(bytes.data() + i * sizeof(half), &half, sizeof(half));
  }
  return bytes;
}

}  // namespace

std::vector<float> gather_arena(const Program& program, const TensorViews& tensors,
                                const std::string& where) {
  std::vector<float> arena(static_cast<size_t>(program.parameter_elements()), 0.0f);
  Differences differences;
  std::set<std::string> known;
  for_each_tensor(program, [&](const NamedTensor& tensor, int64_t offset) {
    known.insert(tensor.name);
    const auto found = tensors.find(tensor.name);
    if (found == tensors.end()) return differences.missing(tensor.name);
    if (without_trailing_ones(found->second.shape) != without_trailing_ones(tensor.shape))
      return differences.misshapen(tensor.name, found->second.shape, tensor.shape);
    const std::vector<float> values =
        safetensors_values<float>(found->second, where + ": tensor '" + tensor.name + "'");
    from_pytorch_order(tensor, values, std::span(arena).subspan(static_cast<size_t>(offset), values.size()));
  });
  for (const auto& [name, view] : tensors)
    if (!known.contains(name)) differences.unknown(name);
  differences.throw_if_any(where);
  return arena;
}

std::vector<float> read_arena(const SafetensorsFile& file, const Program& program,
                              const std::string& prefix) {
  TensorViews tensors;
  for (const auto& [name, view] : file.tensors())
    if (name.starts_with(prefix)) tensors.emplace(name.substr(prefix.size()), view);
  return gather_arena(program, tensors, file.path().string());
}

void ArenaFile::add(const Program& program, const std::string& prefix, std::span<const float> arena) {
  for_each_tensor(program, [&](const NamedTensor& tensor, int64_t offset) {
    const size_t count = static_cast<size_t>(element_count(tensor.shape));
    std::vector<float> values(count);
    to_pytorch_order(tensor, arena.subspan(static_cast<size_t>(offset), count), values);
    storage_.push_back(stored(values, type_));
    entries_.push_back(
        {.name = prefix + tensor.name,
         .type = type_ == StoredType::kFloat32 ? SafetensorsType::kF32 : SafetensorsType::kBF16,
         .shape = tensor.shape,
         .bytes = storage_.back()});
  });
}

}  // namespace ddpm
