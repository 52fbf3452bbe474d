// PNG, JPEG, animated PNG and contact sheets. The oracle for decoding is Pillow.
#include <gmock/gmock.h>

#include <algorithm>

#include "data/apng.h"
#include "data/grid.h"
#include "data/image_files.h"
#include "data/jpeg.h"
#include "data/png.h"
#include "data/resize.h"
#include "tests/data/pattern.h"
#include "tests/temporary_folder.h"

namespace ddpm {
namespace {

using testing::HasSubstr;
using Bytes = std::vector<uint8_t>;

Bytes file_bytes(const std::filesystem::path& path) {
  const std::string text = read_file(path);
  return {text.begin(), text.end()};
}

Image decode(const Bytes& bytes) { return ImageDecoder().decode(bytes, "test"); }

// Bound 1: a libjpeg-turbo release other than Pillow's may round its transforms differently.
TEST(Jpeg, MatchesPillow) {
  EXPECT_LE(largest_difference(decode(file_bytes(fixture_path("color.jpg"))), fixture("color_jpg")), 1);
  EXPECT_LE(largest_difference(decode(file_bytes(fixture_path("grey.jpg"))), fixture("grey_jpg")), 1);
}

TEST(Jpeg, RoundTripIsClose) {
  const Image image = resize(pattern(9, 7, 3), 64, 48, Filter::kBicubic);
  // Smooth content at quality 95: quantization and chroma subsampling cost a few levels.
  EXPECT_LE(largest_difference(decode(encode_jpeg(image, 95)), image), 40);
}

TEST(Jpeg, EveryTruncationIsAnErrorThatNamesTheFile) {
  const Bytes whole = file_bytes(fixture_path("color.jpg"));
  for (const size_t size : {size_t{0}, size_t{1}, size_t{20}, whole.size() / 2, whole.size() - 40}) {
    const Bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_THAT(input_error([&] { JpegDecoder().decode(part, "cut.jpg"); }), testing::StartsWith("cut.jpg: "))
        << size << " bytes";
  }
}

TEST(Jpeg, OtherContentIsAnError) {
  const Bytes text = {'n', 'o', ' ', 'p', 'i', 'c', 't', 'u', 'r', 'e'};
  EXPECT_THAT(input_error([&] { decode(text); }), HasSubstr("cannot be decoded as JPEG"));
  EXPECT_THAT(input_error([] { decode(file_bytes(fixture_path("cmyk.jpg"))); }), HasSubstr("CMYK"));
}

TEST(Jpeg, DecoderWorksAgainAfterAFailure) {
  JpegDecoder decoder;
  const Bytes whole = file_bytes(fixture_path("color.jpg"));
  const Bytes half(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(whole.size() / 2));
  EXPECT_THROW(decoder.decode(half, "half"), InputError);
  EXPECT_LE(largest_difference(decoder.decode(whole, "whole"), fixture("color_jpg")), 1);
}

TEST(Png, MatchesPillow) {
  EXPECT_EQ(largest_difference(decode(file_bytes(fixture_path("palette.png"))), fixture("palette_png")), 0);
  EXPECT_EQ(
      largest_difference(decode(file_bytes(fixture_path("transparent.png"))), fixture("transparent_png")), 0);
}

TEST(Png, RoundTripIsExact) {
  const TemporaryFolder folder;
  for (const int channels : {1, 3}) {
    const Image image = pattern(37, 11, channels);
    write_png(folder.path() / "image.png", image);
    EXPECT_EQ(largest_difference(read_png(folder.path() / "image.png"), image), 0);
  }
}

TEST(Png, WritesOnlyTheView) {
  const Image image = pattern(20, 20, 3);
  const ImageView view = ImageView(image).crop(3, 4, 9, 7);
  EXPECT_EQ(largest_difference(decode(encode_png(view)), copy(view)), 0);
}

TEST(Png, DamageIsAnErrorThatNamesTheFile) {
  const Bytes whole = encode_png(pattern(30, 30, 3));
  const Bytes half(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(whole.size() / 2));
  EXPECT_THAT(input_error([&] { decode_png(half, "cut.png"); }), testing::StartsWith("cut.png: "));
  Bytes flipped = whole;
  flipped[flipped.size() / 2] ^= 0xff;
  EXPECT_THAT(input_error([&] { decode_png(flipped, "flipped.png"); }), testing::StartsWith("flipped.png: "));
}

TEST(Png, UnwritableFolderIsAnError) {
  EXPECT_THAT(input_error([] { write_png("/nonexistent/folder/x.png", pattern(3, 3, 3)); }),
              HasSubstr("/nonexistent/folder/x.png"));
}

uint32_t u32(const Bytes& bytes, size_t at) {
  return uint32_t{bytes[at]} << 24 | uint32_t{bytes[at + 1]} << 16 | uint32_t{bytes[at + 2]} << 8 |
         uint32_t{bytes[at + 3]};
}

struct Chunk {
  std::string type;
  Bytes data;   // without length, type and checksum
  Bytes whole;  // with them
};

std::vector<Chunk> chunks_of(const Bytes& file) {
  std::vector<Chunk> chunks;
  for (size_t at = 8; at + 12 <= file.size();) {
    const auto first = file.begin() + static_cast<std::ptrdiff_t>(at);
    const auto length = static_cast<std::ptrdiff_t>(u32(file, at));
    chunks.push_back({{first + 4, first + 8}, {first + 8, first + 8 + length}, {first, first + 12 + length}});
    at += 12 + static_cast<size_t>(length);
  }
  return chunks;
}

TEST(Apng, HasTheChunksOfTheSpecificationInOrder) {
  const std::vector<Image> frames = {pattern(16, 12, 3), pattern(16, 12, 3), pattern(16, 12, 3)};
  std::string types;
  uint32_t sequence = 0;
  const Bytes file =
      encode_apng(frames, {.frame_milliseconds = 40, .last_frame_milliseconds = 900, .repetitions = 2});
  for (const Chunk& chunk : chunks_of(file)) {
    types += chunk.type + " ";
    if (chunk.type == "acTL") {
      EXPECT_EQ(u32(chunk.data, 0), 3U);  // frames
      EXPECT_EQ(u32(chunk.data, 4), 2U);  // repetitions
    }
    if (chunk.type == "fcTL") {
      const bool last = sequence == 3;
      EXPECT_EQ(u32(chunk.data, 4), 16U);
      EXPECT_EQ(u32(chunk.data, 8), 12U);
      EXPECT_EQ(chunk.data[20] << 8 | chunk.data[21], last ? 900 : 40);
    }
    if (chunk.type == "fcTL" || chunk.type == "fdAT") {
      EXPECT_EQ(u32(chunk.data, 0), sequence++);
    }
  }
  EXPECT_EQ(types, "IHDR sRGB acTL fcTL IDAT fcTL fdAT fcTL fdAT IEND ");
}

// A frame's data must be that of a still PNG of the frame.
TEST(Apng, EveryFrameDecodes) {
  std::vector<Image> frames = {pattern(16, 12, 3), pattern(16, 12, 3)};
  std::reverse(frames[1].pixels.begin(), frames[1].pixels.end());
  const Bytes file = encode_apng(frames);
  EXPECT_EQ(largest_difference(decode_png(file, "first"), frames[0]), 0);  // what a viewer without APNG shows
  const std::vector<Chunk> chunks = chunks_of(file);
  const Bytes still = encode_png(frames[1]);
  const Chunk still_data = chunks_of(still).at(2);
  ASSERT_EQ(still_data.type, "IDAT");
  const auto animated =
      std::find_if(chunks.begin(), chunks.end(), [](const Chunk& c) { return c.type == "fdAT"; });
  ASSERT_NE(animated, chunks.end());
  EXPECT_EQ(Bytes(animated->data.begin() + 4, animated->data.end()), still_data.data);
}

TEST(Grid, PlacesImagesRowByRowWithAGap) {
  std::vector<Image> images(5, Image(3, 2, 3));
  for (size_t i = 0; i < images.size(); ++i)
    std::fill(images[i].pixels.begin(), images[i].pixels.end(), static_cast<uint8_t>(10 * i));
  const Image grid = make_grid(images, {.columns = 2, .gap = 1, .background = 200});
  ASSERT_EQ(grid.width, 2 * 3 + 3);
  ASSERT_EQ(grid.height, 3 * 2 + 4);
  EXPECT_EQ(grid.row(0)[0], 200);
  EXPECT_EQ(grid.row(1)[3 * 1], 0);                     // first image
  EXPECT_EQ(grid.row(1)[3 * 5], 10);                    // second, right of it
  EXPECT_EQ(grid.row(7)[3 * 1], 40);                    // fifth, in the third row
  EXPECT_EQ(grid.row(7)[3 * 5], 200);                   // no sixth
  EXPECT_EQ(make_grid(images).width, 3 * (3 + 2) + 2);  // three columns of 3 pixels, gaps of 2
}

}  // namespace
}  // namespace ddpm
