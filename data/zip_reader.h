// Members of a zip archive, read in place through libzip.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

struct zip;

namespace ddpm {

// libzip's handles are not safe to share: each thread opens its own.
class ZipReader {
 public:
  // InputError where the file is missing, is no zip archive or is cut short.
  explicit ZipReader(std::filesystem::path path);

  int64_t count() const;
  // The name of member i, with its folders.
  std::string name(int64_t i) const;
  // The content of member i, its checksum verified; InputError where that fails.
  std::vector<uint8_t> read(int64_t i) const;

 private:
  struct Discard {
    void operator()(zip* archive) const;
  };
  std::filesystem::path path_;
  std::unique_ptr<zip, Discard> archive_;
};

}  // namespace ddpm
