#include "data/png.h"

#include <png.h>

#include <cstring>

#include "support/atomic_file.h"
#include "support/error.h"

namespace ddpm {
namespace {

// Refuses headers that promise more than any picture holds, before memory is taken for them.
constexpr int64_t kMaxPixels = int64_t{1} << 27;

// libpng's own structure for its interface without long jumps; freed whatever happens.
struct PngImage : png_image {
  PngImage() : png_image() { version = PNG_IMAGE_VERSION; }
  ~PngImage() { png_image_free(this); }
  PngImage(const PngImage&) = delete;
  PngImage& operator=(const PngImage&) = delete;
};

[[noreturn]] void fail(const std::string& name, const char* reason) {
  throw_input("{}: cannot be decoded as PNG ({}): restore the file from its source or leave it out", name,
              reason);
}

// Keeps the first `channels` of every pixel of `stride` bytes.
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
  const std::vector<uint8_t> bytes = encode_png(image);
  AtomicFile file(path);
  file.write(bytes.data(), bytes.size());
  file.commit();
}

Image decode_png(std::span<const uint8_t> bytes, const std::string& name) {
  PngImage png;
  if (png_image_begin_read_from_memory(&png, bytes.data(), bytes.size()) == 0) fail(name, png.message);
  if (int64_t{png.width} * png.height > kMaxPixels)
    fail(name, "its header claims more pixels than any picture has");
  png.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  // Read with alpha and drop it: libpng would otherwise blend the picture with a background.
  const int channels = (png.format & PNG_FORMAT_FLAG_COLOR) != 0 ? 3 : 1;
  png.format = channels == 3 ? PNG_FORMAT_RGBA : PNG_FORMAT_GA;
  std::vector<uint8_t> pixels(PNG_IMAGE_SIZE(png));
  if (png_image_finish_read(&png, nullptr, pixels.data(), 0, nullptr) == 0) fail(name, png.message);
  return without_alpha(pixels, static_cast<int>(png.width), static_cast<int>(png.height), channels,
                       channels + 1);
}

Image read_png(const std::filesystem::path& path) {
  const std::string bytes = read_file(path);
  return decode_png({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, path.string());
}

}  // namespace ddpm
