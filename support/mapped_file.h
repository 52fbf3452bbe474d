// A file's bytes in the address space, read-only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

namespace ddpm {

// Pages come from disk when they are touched and are shared with every other process that reads the file.
class MappedFile {
 public:
  // InputError where the file cannot be opened or mapped.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const uint8_t> bytes() const { return bytes_; }

 private:
  std::span<const uint8_t> bytes_;
};

}  // namespace ddpm
