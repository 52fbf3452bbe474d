// Shared by the fuzz targets: an input as a file, and what counts as a finding.
//
// A parser may reject an input with a non-empty InputError. Any other exception, a sanitizer report, or running
// out of memory or time is a finding.
#pragma once

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>

#include "support/error.h"

namespace ddpm {

// Runs `read` on an input; always returns 0, as libFuzzer requires.
template <typename Read>
int accept_or_refuse(const Read& read) {
  try {
    read();
  } catch (const InputError& error) {
    if (error.what()[0] == '\0') std::abort();
  }
  return 0;
}

// A folder for this process's input files, in memory if there is /dev/shm. Removed at the end.
class InputFolder {
 public:
  InputFolder() {
    const std::filesystem::path memory = "/dev/shm";
    path_ = (std::filesystem::exists(memory) ? memory : std::filesystem::temp_directory_path()) /
            fmt::format("ddpm-fuzz-{}", ::getpid());
    std::filesystem::create_directories(path_);
  }
  ~InputFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  InputFolder(const InputFolder&) = delete;
  InputFolder& operator=(const InputFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

  // Writes the file `name` and returns its path.
  std::filesystem::path write(const std::string& name, std::span<const uint8_t> bytes) const {
    std::ofstream file(path_ / name, std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    return path_ / name;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace ddpm
