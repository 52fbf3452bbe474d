// Files and folders that appear complete or not at all: written under a temporary name, synced
// to disk, renamed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace ddpm {

// A file being written. Nothing is visible under `path` until commit(); without it the destructor removes the
// file. Every failure (unwritable folder, full disk) throws InputError with the path and the system's reason.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* bytes, size_t count);
  void write(std::string_view text) { write(text.data(), text.size()); }
  // Moves the write position, for headers that are known last.
  void seek(size_t offset);
  // Flushes, syncs, and renames to the final path.
  void commit();

  const std::filesystem::path& path() const { return path_; }

 private:
  [[noreturn]] void fail(const char* action) const;
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  std::FILE* file_ = nullptr;
};

// Writes a whole file.
void write_file_atomically(const std::filesystem::path& path, std::string_view text);
void write_file_atomically(const std::filesystem::path& path, std::span<const uint8_t> bytes);

// The content of a file; InputError if it cannot be read.
std::string read_file(const std::filesystem::path& path);

inline std::span<const uint8_t> byte_view(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// Renames the folder `from` to `to`, replacing a folder of that name. Where the file system can exchange
// names atomically, `to` exists at every moment.
void replace_folder(const std::filesystem::path& from, const std::filesystem::path& to);

// Creates the folder and its parents; InputError if that fails or a file has the name.
void create_folder(const std::filesystem::path& path);

}  // namespace ddpm
