// Files and folders that are whole or not there: written beside their final name, flushed to disk, and
// renamed.
#pragma once

#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <string_view>

namespace ddpm {

// A file being written. Until commit() nothing is visible under `path`; a file that is destroyed uncommitted
// is removed. Every failure (unwritable folder, full disk) throws InputError naming the path and the system's
// reason.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* bytes, size_t count);
  void write(std::string_view text) { write(text.data(), text.size()); }
  // Moves the write position; for headers whose content is known last.
  void seek(size_t offset);
  // Flushes, syncs and renames to the final path.
  void commit();

  const std::filesystem::path& path() const { return path_; }

 private:
  [[noreturn]] void fail(const char* action) const;
  std::filesystem::path path_;
  std::filesystem::path temporary_;
  std::FILE* file_ = nullptr;
};

// The whole of `text` as the file `path`.
void write_file_atomically(const std::filesystem::path& path, std::string_view text);

// The whole content of a file; InputError where it cannot be read.
std::string read_file(const std::filesystem::path& path);

// Gives the folder `from` the name `to`. A folder of that name is removed, at no moment is there none: the
// two change places first, where the file system can do that.
void replace_folder(const std::filesystem::path& from, const std::filesystem::path& to);

// Creates the folder and its parents; InputError where that fails or something else has the name.
void create_folder(const std::filesystem::path& path);

}  // namespace ddpm
