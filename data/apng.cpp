#include "data/apng.h"

#include <zlib.h>

#include <algorithm>
#include <string_view>

#include "data/png.h"
#include "support/atomic_file.h"
#include "support/error.h"

namespace ddpm {
namespace {

using Bytes = std::vector<uint8_t>;
using BytesView = std::span<const uint8_t>;

constexpr size_t kSignatureBytes = 8;

void append(Bytes& to, BytesView bytes) { to.insert(to.end(), bytes.begin(), bytes.end()); }

void append_u16(Bytes& to, uint32_t value) {
  to.push_back(static_cast<uint8_t>(value >> 8));
  to.push_back(static_cast<uint8_t>(value));
}

void append_u32(Bytes& to, uint32_t value) {
  append_u16(to, value >> 16);
  append_u16(to, value);
}

uint32_t read_u32(BytesView bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 | uint32_t{bytes[2]} << 8 | uint32_t{bytes[3]};
}

// A chunk: length, type, data, and the CRC of type and data.
void append_chunk(Bytes& to, std::string_view type, BytesView data) {
  append_u32(to, static_cast<uint32_t>(data.size()));
  const size_t start = to.size();
  to.insert(to.end(), type.begin(), type.end());
  append(to, data);
  append_u32(to, static_cast<uint32_t>(::crc32(0, to.data() + start, static_cast<uInt>(to.size() - start))));
}

// Calls visit(type, data) for every chunk of a PNG file that libpng wrote.
template <typename Visit>
void for_each_chunk(BytesView png, const Visit& visit) {
  for (size_t at = kSignatureBytes; at + 12 <= png.size();) {
    const uint32_t length = read_u32(png.subspan(at));
    visit(std::string_view(reinterpret_cast<const char*>(png.data()) + at + 4, 4),
          png.subspan(at + 8, length));
    at += size_t{12} + length;
  }
}

// fcTL: position, size and duration of the frame whose data follow.
Bytes frame_control(uint32_t sequence, const Image& frame, int milliseconds) {
  Bytes data;
  append_u32(data, sequence);
  append_u32(data, static_cast<uint32_t>(frame.width));
  append_u32(data, static_cast<uint32_t>(frame.height));
  append_u32(data, 0);  // x offset
  append_u32(data, 0);  // y offset
  append_u16(data, static_cast<uint32_t>(milliseconds));
  append_u16(data, 1000);  // the duration's denominator: milliseconds
  data.push_back(0);       // dispose: leave the frame
  data.push_back(0);       // blend: overwrite
  return data;
}

Bytes animation_control(size_t frame_count, int repetitions) {
  Bytes data;
  append_u32(data, static_cast<uint32_t>(frame_count));
  append_u32(data, static_cast<uint32_t>(repetitions));
  return data;
}

// Signature, the first frame's chunks before its pixels, and the animation's own header.
Bytes file_start(BytesView first_png, size_t frame_count, int repetitions) {
  Bytes file(first_png.begin(), first_png.begin() + kSignatureBytes);
  bool before_pixels = true;
  for_each_chunk(first_png, [&](std::string_view type, BytesView data) {
    before_pixels = before_pixels && type != "IDAT";
    if (before_pixels) append_chunk(file, type, data);
  });
  append_chunk(file, "acTL", animation_control(frame_count, repetitions));
  return file;
}

}  // namespace

std::vector<uint8_t> encode_apng(std::span<const Image> frames, const ApngOptions& options) {
  DDPM_CHECK(!frames.empty());
  Bytes file;
  uint32_t sequence = 0;
  for (size_t i = 0; i < frames.size(); ++i) {
    DDPM_CHECK(frames[i].width == frames[0].width && frames[i].height == frames[0].height);
    DDPM_CHECK(frames[i].channels == frames[0].channels);
    const Bytes png = encode_png(frames[i]);
    if (i == 0) file = file_start(png, frames.size(), options.repetitions);
    const int milliseconds =
        i + 1 == frames.size() ? options.last_frame_milliseconds : options.frame_milliseconds;
    append_chunk(file, "fcTL", frame_control(sequence++, frames[i], milliseconds));
    for_each_chunk(png, [&](std::string_view type, BytesView data) {
      if (type != "IDAT") return;
      if (i == 0) return append_chunk(file, "IDAT", data);
      Bytes numbered;
      append_u32(numbered, sequence++);
      append(numbered, data);
      append_chunk(file, "fdAT", numbered);
    });
  }
  append_chunk(file, "IEND", {});
  return file;
}

void write_apng(const std::filesystem::path& path, std::span<const Image> frames,
                const ApngOptions& options) {
  write_file_atomically(path, encode_apng(frames, options));
}

}  // namespace ddpm
