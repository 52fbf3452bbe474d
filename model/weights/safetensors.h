// Reads and writes named tensors in Hugging Face's safetensors format:
//   https://github.com/huggingface/safetensors#format
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/mapped_file.h"

namespace ddpm {

// The element types of the format that fill whole bytes, in the order in which its own writer sorts tensors.
enum class SafetensorsType : uint8_t {
  kBool,
  kU8,
  kI8,
  kF8E5M2,
  kF8E4M3,
  kI16,
  kU16,
  kF16,
  kBF16,
  kI32,
  kU32,
  kF32,
  kF64,
  kI64,
  kU64,
};

std::string_view safetensors_type_name(SafetensorsType type);  // "F32", as in the file
size_t safetensors_type_bytes(SafetensorsType type);

// One tensor of an open file. `bytes` holds its elements in C order, little-endian and unaligned.
struct SafetensorsView {
  SafetensorsType type;
  std::vector<int64_t> shape;
  std::span<const uint8_t> bytes;

  size_t elements() const { return bytes.size() / safetensors_type_bytes(type); }
};

// The elements as T: float or double from any floating-point type but the 8-bit ones, int64_t from any
// integer type. InputError, which begins with `where`, for other types.
template <typename T>
std::vector<T> safetensors_values(const SafetensorsView& view, std::string_view where);

// An open file, mapped into memory. Views live as long as the file object.
class SafetensorsFile {
 public:
  // InputError if the file is not whole and consistent: the header's length and JSON, unique names, known
  // types, sizes that follow from the shapes, and data that the tensors cover without gap or overlap.
  explicit SafetensorsFile(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const std::map<std::string, SafetensorsView>& tensors() const { return tensors_; }
  bool contains(const std::string& name) const { return tensors_.contains(name); }
  // InputError if there is no such tensor.
  const SafetensorsView& tensor(const std::string& name) const;
  template <typename T>
  std::vector<T> values(const std::string& name) const {
    return safetensors_values<T>(tensor(name), path_.string() + ": tensor '" + name + "'");
  }

  // The free text under "__metadata__"; may be empty.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  std::filesystem::path path_;
  MappedFile file_;
  std::map<std::string, SafetensorsView> tensors_;
  std::map<std::string, std::string> metadata_;
};

// A tensor to write; `bytes` is borrowed until write_safetensors returns.
struct SafetensorsEntry {
  std::string name;
  SafetensorsType type;
  std::vector<int64_t> shape;
  std::span<const uint8_t> bytes;
};

template <typename T>
std::span<const uint8_t> as_byte_span(std::span<const T> values) {
  return {reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()};
}

// Writes the file whole or not at all. Tensors are sorted as the format's own writer sorts them, wide
// elements first and then by name, so every tensor is aligned to its element size and equal tensors give
// equal files.
void write_safetensors(const std::filesystem::path& path, std::vector<SafetensorsEntry> entries,
                       const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

}  // namespace ddpm
