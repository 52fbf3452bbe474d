// The labels of a data set: classes or binary attributes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace ddpm {

enum class LabelKind { kNone, kClasses, kAttributes };

// kClasses:    `classes`, (N,), an index into `names` per image
// kAttributes: `attributes`, (N, names.size()), 0 or 1 per image and attribute
struct Labels {
  LabelKind kind = LabelKind::kNone;
  std::vector<std::string> names;
  std::vector<int32_t> classes;
  std::vector<uint8_t> attributes;

  int64_t count() const;
  // The labels of the first `count` images.
  Labels first(int64_t count) const;
  // The hash (data/content_hash.h) of the numbers, not of the names; empty if there are none.
  std::string hash() const;
};

// "none", "classes", "attributes".
std::string label_kind_name(LabelKind kind);

// int32 (N,) for classes, uint8 (N, A) for attributes. `names` come from the data set's card and
// may be empty.
void write_labels(const std::filesystem::path& path, const Labels& labels);
Labels read_labels(const std::filesystem::path& path, std::vector<std::string> names);

// The same in memory; `path` is for error messages.
std::vector<uint8_t> encode_labels(const Labels& labels);
Labels parse_labels(std::span<const uint8_t> bytes, const std::filesystem::path& path,
                    std::vector<std::string> names);

}  // namespace ddpm
