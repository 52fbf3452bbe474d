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

// The members' dates are fixed, so that the same content gives the same file. Archives beyond 4 GB or 65,535
// members are written in the zip64 form.
class ZipWriter {
 public:
  using Content = std::function<std::vector<uint8_t>()>;

  // InputError where the file cannot be created.
  explicit ZipWriter(std::filesystem::path path);
  ~ZipWriter();
  ZipWriter(ZipWriter&&) noexcept;
  ZipWriter& operator=(ZipWriter&&) = delete;

  // `content` is called once, from commit(), in the order of the calls to add: members are made when they are
  // written, and never lie in memory together.
  void add(const std::string& name, Content content);
  // The same for a member that is too large to lie in memory: `pieces` is called until it returns nothing.
  void add_pieces(const std::string& name, Content pieces);
  // Writes everything beside the final path and renames. What a content function throws comes out of here.
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
