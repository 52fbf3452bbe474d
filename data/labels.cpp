#include "data/labels.h"

#include <algorithm>

#include "data/content_hash.h"
#include "data/npy.h"
#include "support/atomic_file.h"
#include "support/error.h"

namespace ddpm {
namespace {

Labels parse_classes(std::span<const uint8_t> bytes, const std::filesystem::path& path,
                     std::vector<std::string> names) {
  NpyArray<int32_t> array = parse_npy<int32_t>(bytes, path);
  if (array.shape.size() != 1)
    throw_input("{}: class labels need shape (N,): write them again", path.string());
  const auto known = static_cast<int32_t>(names.size());
  for (const int32_t value : array.values)
    if (value < 0 || (known > 0 && value >= known))
      throw_input("{}: has class {}, but there are {} classes: prepare the data set again", path.string(),
                  value, known);
  return {LabelKind::kClasses, std::move(names), std::move(array.values), {}};
}

Labels parse_attributes(std::span<const uint8_t> bytes, const std::filesystem::path& path,
                        std::vector<std::string> names) {
  NpyArray<uint8_t> array = parse_npy<uint8_t>(bytes, path);
  if (array.shape.size() != 2)
    throw_input("{}: attributes need shape (N, A): write them again", path.string());
  if (!names.empty() && static_cast<int64_t>(names.size()) != array.shape[1])
    throw_input("{}: has {} attributes, but the card names {}: prepare the data set again", path.string(),
                array.shape[1], names.size());
  if (std::any_of(array.values.begin(), array.values.end(), [](uint8_t value) { return value > 1; }))
    throw_input("{}: attributes must be 0 or 1: prepare the data set again", path.string());
  for (auto i = static_cast<int64_t>(names.size()); i < array.shape[1]; ++i)
    names.push_back(fmt::format("{}", i));
  return {LabelKind::kAttributes, std::move(names), {}, std::move(array.values)};
}

}  // namespace

int64_t Labels::count() const {
  if (kind == LabelKind::kAttributes && !names.empty())
    return static_cast<int64_t>(attributes.size() / names.size());
  return static_cast<int64_t>(classes.size());
}

Labels Labels::first(int64_t wanted) const {
  if (kind == LabelKind::kNone) return {};
  DDPM_CHECK(wanted <= count());
  Labels result = *this;
  if (kind == LabelKind::kClasses) result.classes.resize(wanted);
  if (kind == LabelKind::kAttributes) result.attributes.resize(wanted * names.size());
  return result;
}

std::string Labels::hash() const {
  if (kind == LabelKind::kClasses) return content_hash(classes.data(), classes.size() * sizeof(int32_t));
  if (kind == LabelKind::kAttributes) return content_hash(attributes.data(), attributes.size());
  return {};
}

std::string label_kind_name(LabelKind kind) {
  if (kind == LabelKind::kClasses) return "classes";
  if (kind == LabelKind::kAttributes) return "attributes";
  return "none";
}

std::vector<uint8_t> encode_labels(const Labels& labels) {
  DDPM_CHECK(labels.kind != LabelKind::kNone);
  const int64_t count = labels.count();
  if (labels.kind == LabelKind::kClasses)
    return npy_bytes<int32_t>(labels.classes, std::vector<int64_t>{count});
  return npy_bytes<uint8_t>(labels.attributes,
                            std::vector<int64_t>{count, static_cast<int64_t>(labels.names.size())});
}

void write_labels(const std::filesystem::path& path, const Labels& labels) {
  write_file_atomically(path, encode_labels(labels));
}

Labels parse_labels(std::span<const uint8_t> bytes, const std::filesystem::path& path,
                    std::vector<std::string> names) {
  if (parse_npy_header(bytes, path).dtype == npy_dtype<int32_t>())
    return parse_classes(bytes, path, std::move(names));
  return parse_attributes(bytes, path, std::move(names));
}

Labels read_labels(const std::filesystem::path& path, std::vector<std::string> names) {
  const std::string text = read_file(path);
  return parse_labels(byte_view(text), path, std::move(names));
}

}  // namespace ddpm
