#include "support/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sstream>
#include <system_error>

#include "support/error.h"

namespace ddpm {
namespace {

// "a.npy" -> ".a.npy.1234.partial", in the same folder so that the rename stays on one file system.
std::filesystem::path temporary_name(const std::filesystem::path& path) {
  return path.parent_path() / fmt::format(".{}.{}.partial", path.filename().string(), ::getpid());
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path path)
    : path_(std::move(path)), temporary_(temporary_name(path_)) {
  file_ = std::fopen(temporary_.c_str(), "wb");
  if (file_ == nullptr) fail("create");
}

AtomicFile::~AtomicFile() {
  if (file_ == nullptr) return;
  std::fclose(file_);
  std::error_code ignored;
  std::filesystem::remove(temporary_, ignored);
}

void AtomicFile::fail(const char* action) const {
  const int code = errno;
  throw_input("cannot {} {}: {}; check that the folder exists, is writable and has space", action,
              path_.string(), std::strerror(code));
}

void AtomicFile::write(const void* bytes, size_t count) {
  DDPM_CHECK(file_ != nullptr);
  if (count > 0 && std::fwrite(bytes, 1, count, file_) != count) fail("write");
}

void AtomicFile::seek(size_t offset) {
  DDPM_CHECK(file_ != nullptr);
  if (::fseeko(file_, static_cast<off_t>(offset), SEEK_SET) != 0) fail("seek in");
}

void AtomicFile::commit() {
  DDPM_CHECK(file_ != nullptr);
  if (std::fflush(file_) != 0 || ::fsync(::fileno(file_)) != 0) fail("write");
  const int closed = std::fclose(file_);
  file_ = nullptr;
  if (closed != 0 || std::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int code = errno;
    std::error_code ignored;
    std::filesystem::remove(temporary_, ignored);
    errno = code;
    fail("finish");
  }
}

void write_file_atomically(const std::filesystem::path& path, std::string_view text) {
  write_file_atomically(path, byte_view(text));
}

void write_file_atomically(const std::filesystem::path& path, std::span<const uint8_t> bytes) {
  AtomicFile file(path);
  file.write(bytes.data(), bytes.size());
  file.commit();
}

std::string read_file(const std::filesystem::path& path) {
  std::error_code ignored;
  std::ifstream stream(path, std::ios::binary);
  if (!stream || std::filesystem::is_directory(path, ignored))
    throw_input("cannot read {}: {}", path.string(), stream ? "it is a folder" : std::strerror(errno));
  std::ostringstream text;
  text << stream.rdbuf();
  if (stream.bad()) throw_input("cannot read {}: {}", path.string(), std::strerror(errno));
  return std::move(text).str();
}

void replace_folder(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::error_code code;
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) {
    std::filesystem::remove_all(from, code);
    return;
  }
  if (std::filesystem::exists(from, code)) std::filesystem::remove_all(to, code);
  if (!code) std::filesystem::rename(from, to, code);
  if (code)
    throw_input("cannot finish {}: {}; check that its folder is writable", to.string(), code.message());
}

void create_folder(const std::filesystem::path& path) {
  std::error_code code;
  std::filesystem::create_directories(path, code);
  if (code || !std::filesystem::is_directory(path, code))
    throw_input("cannot create the folder {}: {}; choose another path", path.string(),
                code ? code.message() : "a file has this name");
}

}  // namespace ddpm
