// Read-only memory-mapped files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

namespace ddpm {

// Pages are loaded when touched and shared with every other process that maps the file.
class MappedFile {
 public:
  // InputError if the file cannot be opened or mapped.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const uint8_t> bytes() const { return bytes_; }

 private:
  std::span<const uint8_t> bytes_;
};

}  // namespace ddpm
