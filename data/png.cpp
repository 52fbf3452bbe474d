#include "data/png.h"

#include <png.h>

#include <cstring>

#include "support/atomic_file.h"
#include "support/error.h"

namespace ddpm {
namespace {

// The structure of libpng's API without longjmp, freed on every path.
struct PngImage : png_image {
  PngImage() : png_image() { version = PNG_IMAGE_VERSION; }
  ~PngImage() { png_image_free(this); }
  PngImage(const PngImage&) = delete;
  PngImage& operator=(const PngImage&) = delete;
};

[[noreturn]] void fail(const std::string& name, const char* reason) {
  throw_input("{}: cannot be decoded as PNG ({}): restore the file from its source or remove it", name,
              reason);
}

// Keeps the first `channels` bytes of every `stride`-byte pixel.
Image without_alpha(const std::vector<uint8_t>& pixels, int width, int height, int channels, int stride) {
  Image image(width, height, channels);
  const size_t count = static_cast<size_t>(width) * height;
  for (size_t i = 0; i < count; ++i) std::memcpy(&image.pixels[i * channels], &pixels[i * stride], channels);
  return image;
}

}  // namespace

std::vector<uint8_t> encode_png(const ImageView& image) {
  DDPM_CHECK(image.channels == 1 || image.channels == 3);
  PngImage png;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format = image.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  std::vector<uint8_t> bytes(PNG_IMAGE_PNG_SIZE_MAX(png));
  png_alloc_size_t size = bytes.size();
  const int ok = png_image_write_to_memory(&png, bytes.data(), &size, /*convert_to_8_bit=*/0, image.pixels,
                                           static_cast<png_int_32>(image.row_bytes), /*colormap=*/nullptr);
  DDPM_CHECK(ok != 0);
  bytes.resize(size);
  return bytes;
}

void write_png(const std::filesystem::path& path, const ImageView& image) {
  write_file_atomically(path, encode_png(image));
}

Image decode_png(std::span<const uint8_t> bytes, const std::string& name) {
  PngImage png;
  if (png_image_begin_read_from_memory(&png, bytes.data(), bytes.size()) == 0) fail(name, png.message);
  if (int64_t{png.width} * png.height > kMaxImagePixels)
    fail(name, "its header claims more pixels than any photograph has");
  png.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  // Read alpha and drop it: otherwise libpng would blend the image with a background.
  const int channels = (png.format & PNG_FORMAT_FLAG_COLOR) != 0 ? 3 : 1;
  png.format = channels == 3 ? PNG_FORMAT_RGBA : PNG_FORMAT_GA;
  std::vector<uint8_t> pixels(PNG_IMAGE_SIZE(png));
  if (png_image_finish_read(&png, nullptr, pixels.data(), 0, nullptr) == 0) fail(name, png.message);
  return without_alpha(pixels, static_cast<int>(png.width), static_cast<int>(png.height), channels,
                       channels + 1);
}

Image read_png(const std::filesystem::path& path) {
  const std::string bytes = read_file(path);
  return decode_png(byte_view(bytes), path.string());
}

}  // namespace ddpm
