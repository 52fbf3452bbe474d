// Reads members of a zip archive in place, through libzip.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

struct zip;

namespace ddpm {

// libzip's handles are not thread-safe: each thread opens its own reader.
class ZipReader {
 public:
  // InputError if the file is missing, truncated or not a zip archive.
  explicit ZipReader(std::filesystem::path path);

  int64_t count() const;
  // The name of member i, including its folders.
  std::string name(int64_t i) const;
  // The content of member i, with its checksum verified; InputError if that fails.
  std::vector<uint8_t> read(int64_t i) const;

 private:
  struct Discard {
    void operator()(zip* archive) const;
  };
  std::filesystem::path path_;
  std::unique_ptr<zip, Discard> archive_;
};

// The message of a libzip error code.
std::string zip_error_message(int code);

}  // namespace ddpm
