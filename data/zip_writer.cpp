#include "data/zip_writer.h"

#include <zip.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <utility>

#include "data/zip_reader.h"
#include "support/error.h"

namespace ddpm {

// A libzip source for one member's content: open, read to the end, close.
struct ZipWriter::Member {
  Content next_piece;
  std::vector<uint8_t> piece;
  size_t position = 0;  // within the piece
  std::exception_ptr failure;

  // -1 if producing the content failed.
  zip_int64_t read(void* to, zip_uint64_t count) {
    try {
      if (position == piece.size()) {
        piece = next_piece();
        position = 0;
      }
    } catch (...) {
      failure = std::current_exception();  // exceptions must not cross libzip's C frames
      return -1;
    }
    const size_t size = std::min<size_t>(count, piece.size() - position);
    if (size > 0) std::memcpy(to, piece.data() + position, size);  // an empty piece has no address
    position += size;
    return static_cast<zip_int64_t>(size);
  }

  static zip_int64_t handle(void* self, void* data, zip_uint64_t length, zip_source_cmd_t command) {
    auto* member = static_cast<Member*>(self);
    switch (command) {
      case ZIP_SOURCE_OPEN:
        return 0;
      case ZIP_SOURCE_READ:
        return member->read(data, length);
      case ZIP_SOURCE_CLOSE:
        member->piece = {};
        member->position = 0;
        return 0;
      case ZIP_SOURCE_STAT:
        zip_stat_init(static_cast<zip_stat_t*>(data));
        return sizeof(zip_stat_t);
      case ZIP_SOURCE_ERROR: {
        zip_error_t error;
        zip_error_init_with_code(&error, ZIP_ER_INTERNAL);
        return zip_error_to_data(&error, data, length);
      }
      case ZIP_SOURCE_FREE:
        return 0;
      case ZIP_SOURCE_SUPPORTS:
        return zip_source_make_command_bitmap(ZIP_SOURCE_OPEN, ZIP_SOURCE_READ, ZIP_SOURCE_CLOSE,
                                              ZIP_SOURCE_STAT, ZIP_SOURCE_ERROR, ZIP_SOURCE_FREE, -1);
      default:
        return -1;
    }
  }
};

namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& reason) {
  throw_input("cannot write {}: {}; check that the folder exists, is writable and has space", path.string(),
              reason);
}

// 1980-01-01 00:00, the first date that a zip archive can hold.
constexpr zip_uint16_t kDosDate = (0 << 9) | (1 << 5) | 1;

}  // namespace

void ZipWriter::Discard::operator()(zip* archive) const { zip_discard(archive); }

ZipWriter::ZipWriter(std::filesystem::path path) : path_(std::move(path)) {
  int code = 0;
  archive_.reset(zip_open(path_.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code));
  if (archive_ != nullptr) return;
  fail(path_, zip_error_message(code));
}

ZipWriter::~ZipWriter() = default;
ZipWriter::ZipWriter(ZipWriter&&) noexcept = default;

void ZipWriter::add(const std::string& name, Content content) {
  add_pieces(name, [content = std::move(content), made = false]() mutable {
    return std::exchange(made, true) ? std::vector<uint8_t>() : content();
  });
}

void ZipWriter::add_pieces(const std::string& name, Content pieces) {
  members_.push_back(std::make_unique<Member>());
  members_.back()->next_piece = std::move(pieces);
  zip_source_t* source = zip_source_function(archive_.get(), Member::handle, members_.back().get());
  const zip_int64_t index =
      source == nullptr ? -1 : zip_file_add(archive_.get(), name.c_str(), source, ZIP_FL_ENC_UTF_8);
  if (index < 0) {
    zip_source_free(source);
    fail(path_, zip_strerror(archive_.get()));
  }
  const auto member = static_cast<zip_uint64_t>(index);
  if (zip_set_file_compression(archive_.get(), member, ZIP_CM_STORE, 0) != 0 ||
      zip_file_set_dostime(archive_.get(), member, 0, kDosDate, 0) != 0)
    fail(path_, zip_strerror(archive_.get()));
}

void ZipWriter::commit() {
  if (zip_close(archive_.get()) == 0) {
    static_cast<void>(archive_.release());  // zip_close has freed it
    return;
  }
  for (const std::unique_ptr<Member>& member : members_)
    if (member->failure) std::rethrow_exception(member->failure);
  fail(path_, zip_strerror(archive_.get()));
}

}  // namespace ddpm
