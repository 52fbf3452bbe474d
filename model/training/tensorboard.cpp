#include "model/training/tensorboard.h"

#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>
#include <cstring>

#include "data/png.h"
#include "support/error.h"

namespace ddpm {
namespace {

constexpr std::array<uint32_t, 256> make_crc32c_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < table.size(); ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
    table[byte] = crc;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kCrc32cTable = make_crc32c_table();

static_assert(std::endian::native == std::endian::little,
              "fixed-width fields are copied as they are in memory");

template <typename T>
std::string fixed(T value) {
  std::string bytes(sizeof(value), '\0');
  std::memcpy(bytes.data(), &value, sizeof(value));
  return bytes;
}

// A message in protobuf's wire format (https://protobuf.dev/programming-guides/encoding), field by field.
class Message {
 public:
  Message& integer(int field, int64_t value) { return key(field, 0).varint(static_cast<uint64_t>(value)); }
  Message& float64(int field, double value) { return key(field, 1).raw(fixed(value)); }
  Message& bytes(int field, std::string_view value) { return key(field, 2).varint(value.size()).raw(value); }
  Message& message(int field, const Message& value) { return bytes(field, value.text_); }
  Message& float32(int field, float value) { return key(field, 5).raw(fixed(value)); }

  const std::string& text() const { return text_; }

 private:
  Message& key(int field, int wire_type) { return varint(static_cast<uint64_t>(field << 3 | wire_type)); }
  // Seven bits per byte, low ones first; the high bit is set if more follow.
  Message& varint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) text_ += static_cast<char>(value | 0x80);
    text_ += static_cast<char>(value);
    return *this;
  }
  Message& raw(std::string_view value) {
    text_ += value;
    return *this;
  }
  std::string text_;
};

// Field numbers of tensorflow/core/util/event.proto and tensorflow/core/framework/summary.proto.
namespace event_field {
constexpr int kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kSessionLog = 7;
}
namespace summary_field {
constexpr int kValue = 1, kTag = 1, kSimpleValue = 2, kImage = 4;
}
namespace image_field {
constexpr int kHeight = 1, kWidth = 2, kColorspace = 3, kEncoded = 4;
}
namespace session_log {
constexpr int kStatusField = 1, kStart = 1;
}

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

Message make_event(int64_t step) {
  return Message().float64(event_field::kWallTime, wall_time()).integer(event_field::kStep, step);
}

// TensorBoard reads a folder's files in the order of their names, so the time comes first.
std::string file_name(int64_t step) {
  return fmt::format("events.out.tfevents.{}.step-{:08}.{}", static_cast<int64_t>(wall_time()), step,
                     ::getpid());
}

// TFRecord's checksum, rotated and shifted so that checksums of data that contains checksums stay useful.
uint32_t masked_crc32c(std::string_view bytes) { return std::rotr(crc32c(bytes), 15) + 0xa282ead8u; }

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = (crc >> 8) ^ kCrc32cTable[(crc ^ static_cast<uint8_t>(c)) & 0xff];
  return ~crc;
}

TensorBoardWriter::TensorBoardWriter(const std::filesystem::path& folder, int64_t step)
    : path_(folder / file_name(step)), file_(path_, std::ios::binary) {
  write_record(make_event(0).bytes(event_field::kFileVersion, "brain.Event:2").text());
  const Message start = Message().integer(session_log::kStatusField, session_log::kStart);
  write_record(make_event(step + 1).message(event_field::kSessionLog, start).text());
}

void TensorBoardWriter::add_scalars(int64_t step, const std::vector<Scalar>& scalars) {
  Message summary;
  for (const Scalar& scalar : scalars)
    summary.message(summary_field::kValue,
                    Message()
                        .bytes(summary_field::kTag, scalar.tag)
                        .float32(summary_field::kSimpleValue, static_cast<float>(scalar.value)));
  write_record(make_event(step).message(event_field::kSummary, summary).text());
}

void TensorBoardWriter::add_image(int64_t step, const std::string& tag, const ImageView& image) {
  const std::vector<uint8_t> png = encode_png(image);
  const Message picture =
      Message()
          .integer(image_field::kHeight, image.height)
          .integer(image_field::kWidth, image.width)
          .integer(image_field::kColorspace, image.channels)
          .bytes(image_field::kEncoded, {reinterpret_cast<const char*>(png.data()), png.size()});
  const Message value = Message().bytes(summary_field::kTag, tag).message(summary_field::kImage, picture);
  const Message summary = Message().message(summary_field::kValue, value);
  write_record(make_event(step).message(event_field::kSummary, summary).text());
}

void TensorBoardWriter::write_record(std::string_view event) {
  const std::string length = fixed(static_cast<uint64_t>(event.size()));
  file_ << length << fixed(masked_crc32c(length)) << event << fixed(masked_crc32c(event)) << std::flush;
  if (!file_)
    throw_input("cannot write {}: check that the folder can be written and has space", path_.string());
}

}  // namespace ddpm
