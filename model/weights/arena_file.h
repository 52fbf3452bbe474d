// A network's parameters, or anything laid out like them, as the named tensors of safetensors files.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "model/weights/safetensors.h"
#include "runtime/program/program.h"

namespace ddpm {

using TensorViews = std::map<std::string, SafetensorsView>;

// The arena of `program` from tensors by name; a trailing extent of 1 in a shape makes no difference. `where`
// names their file. InputError that lists all missing, unknown and misshapen tensors.
std::vector<float> gather_arena(const Program& program, const TensorViews& tensors, const std::string& where);

// The arena from the tensors of a file whose names begin with `prefix`, which the program's names lack.
std::vector<float> read_arena(const SafetensorsFile& file, const Program& program,
                              const std::string& prefix = "");

enum class StoredType : uint8_t { kFloat32, kBfloat16 };

// The tensors of arenas in PyTorch's order, copied until the file is written.
class ArenaFile {
 public:
  explicit ArenaFile(StoredType type = StoredType::kFloat32) : type_(type) {}

  void add(const Program& program, const std::string& prefix, std::span<const float> arena);
  void write(const std::filesystem::path& path) const { write_safetensors(path, entries_); }

 private:
  StoredType type_;
  std::vector<std::vector<uint8_t>> storage_;
  std::vector<SafetensorsEntry> entries_;
};

}  // namespace ddpm
