#include "data/zip_reader.h"

#include <zip.h>

#include "support/error.h"

namespace ddpm {
namespace {

// Far more than any image of a data set: a directory that claims more is damaged.
constexpr uint64_t kMaxMemberBytes = uint64_t{1} << 30;

struct CloseMember {
  void operator()(zip_file_t* file) const { zip_fclose(file); }
};

}  // namespace

std::string zip_error_message(int code) {
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  return text;
}

void ZipReader::Discard::operator()(zip* archive) const { zip_discard(archive); }

ZipReader::ZipReader(std::filesystem::path path) : path_(std::move(path)) {
  int code = 0;
  archive_.reset(zip_open(path_.c_str(), ZIP_RDONLY, &code));
  if (archive_ == nullptr)
    throw_input("cannot open {} as a zip archive: {}; check the path or download it again", path_.string(),
                zip_error_message(code));
}

int64_t ZipReader::count() const { return zip_get_num_entries(archive_.get(), 0); }

std::string ZipReader::name(int64_t i) const {
  const char* name = zip_get_name(archive_.get(), static_cast<zip_uint64_t>(i), 0);
  if (name == nullptr)
    throw_input("{}: cannot read the name of member {}: {}; download the archive again", path_.string(), i,
                zip_strerror(archive_.get()));
  return name;
}

std::vector<uint8_t> ZipReader::read(int64_t i) const {
  const auto fail = [&](const char* reason) {
    throw_input("{}: member {} is damaged ({}): download the archive again", path_.string(), name(i), reason);
  };
  zip_stat_t status;
  if (zip_stat_index(archive_.get(), static_cast<zip_uint64_t>(i), 0, &status) != 0)
    fail(zip_strerror(archive_.get()));
  if ((status.valid & ZIP_STAT_SIZE) == 0 || status.size > kMaxMemberBytes) fail("its size is implausible");
  const std::unique_ptr<zip_file_t, CloseMember> file(
      zip_fopen_index(archive_.get(), static_cast<zip_uint64_t>(i), 0));
  if (file == nullptr) fail(zip_strerror(archive_.get()));
  // Ask for one byte too many, so that libzip reaches the end, where it verifies the checksum.
  std::vector<uint8_t> bytes(status.size + 1);
  size_t size = 0;
  for (zip_int64_t got = 1; got > 0 && size < bytes.size(); size += static_cast<size_t>(got)) {
    got = zip_fread(file.get(), bytes.data() + size, bytes.size() - size);
    if (got < 0) fail(zip_file_strerror(file.get()));
  }
  if (size != status.size) fail("its size differs from the archive's directory");
  bytes.resize(size);
  return bytes;
}

}  // namespace ddpm
