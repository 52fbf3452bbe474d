// Writes a zip archive of stored (uncompressed) members through libzip.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

struct zip;

namespace ddpm {

// The members' dates are fixed so that the same content gives the same file. Archives beyond 4 GB or 65,535
// members are written in zip64 format.
class ZipWriter {
 public:
  using Content = std::function<std::vector<uint8_t>()>;

  // InputError if the file cannot be created.
  explicit ZipWriter(std::filesystem::path path);
  ~ZipWriter();
  ZipWriter(ZipWriter&&) noexcept;
  ZipWriter& operator=(ZipWriter&&) = delete;

  // commit() calls `content` once, in the order of the calls to add(): only one member is in memory
  // at a time.
  void add(const std::string& name, Content content);
  // The same for a member too large for memory: `pieces` is called until it returns nothing.
  void add_pieces(const std::string& name, Content pieces);
  // Writes a temporary file and renames it. Exceptions from the content functions propagate.
  void commit();

 private:
  struct Discard {
    void operator()(zip* archive) const;
  };
  struct Member;
  std::filesystem::path path_;
  std::unique_ptr<zip, Discard> archive_;
  std::vector<std::unique_ptr<Member>> members_;
};

}  // namespace ddpm
