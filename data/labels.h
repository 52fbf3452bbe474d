// What is known about the images of a data set beside their pixels.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace ddpm {

enum class LabelKind { kNone, kClasses, kAttributes };

// kClasses: `classes` holds one number an image, (N,), an index into `names`.
// kAttributes: `attributes` holds 0 or 1 for each image and attribute, (N, names.size()).
struct Labels {
  LabelKind kind = LabelKind::kNone;
  std::vector<std::string> names;
  std::vector<int32_t> classes;
  std::vector<uint8_t> attributes;

  int64_t count() const;
  // The labels of the first `count` images.
  Labels first(int64_t count) const;
  // Of the numbers alone (data/content_hash.h), whatever they are called; empty where there are none.
  std::string hash() const;
};

// "none", "classes", "attributes".
std::string label_kind_name(LabelKind kind);

// int32 (N,) for classes, uint8 (N, A) for attributes. `names` come from the data set's card and may be
// empty.
void write_labels(const std::filesystem::path& path, const Labels& labels);
Labels read_labels(const std::filesystem::path& path, std::vector<std::string> names);

// The same as a file's bytes; `path` is what errors name.
std::vector<uint8_t> encode_labels(const Labels& labels);
Labels parse_labels(std::span<const uint8_t> bytes, const std::filesystem::path& path,
                    std::vector<std::string> names);

}  // namespace ddpm
