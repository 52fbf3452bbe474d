// An image in memory, and a view of one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ddpm {

// Decoders refuse headers that claim more pixels than any photograph has, before they allocate
// memory for them.
inline constexpr int64_t kMaxImagePixels = int64_t{1} << 27;

// 8-bit pixels, (height, width, channels), C order; channels is 1 (gray) or 3 (RGB).
struct Image {
  int width = 0;
  int height = 0;
  int channels = 0;
  std::vector<uint8_t> pixels;

  Image() = default;
  Image(int image_width, int image_height, int image_channels)
      : width(image_width),
        height(image_height),
        channels(image_channels),
        pixels(static_cast<size_t>(image_width) * image_height * image_channels) {}

  uint8_t* row(int y) { return pixels.data() + static_cast<size_t>(y) * width * channels; }
  const uint8_t* row(int y) const { return pixels.data() + static_cast<size_t>(y) * width * channels; }
};

// A non-owning rectangle of pixels; rows are `row_bytes` apart, so that a crop copies nothing.
struct ImageView {
  const uint8_t* pixels = nullptr;
  int width = 0;
  int height = 0;
  int channels = 0;
  size_t row_bytes = 0;

  ImageView() = default;
  ImageView(const uint8_t* first, int view_width, int view_height, int view_channels)
      : pixels(first),
        width(view_width),
        height(view_height),
        channels(view_channels),
        row_bytes(static_cast<size_t>(view_width) * view_channels) {}
  // Implicit, so that functions which only read can take a view.
  ImageView(const Image& image)  // NOLINT(google-explicit-constructor)
      : ImageView(image.pixels.data(), image.width, image.height, image.channels) {}

  const uint8_t* row(int y) const { return pixels + static_cast<size_t>(y) * row_bytes; }
  // Rows [top, top + rows) and columns [left, left + columns), which must be inside the view.
  ImageView crop(int top, int left, int rows, int columns) const;
};

// A packed copy of the view's pixels.
Image copy(const ImageView& view);

// Gray to RGB by repetition; RGB to gray by the luma of ITU-R BT.601 in 16-bit fixed point,
// like Pillow's convert("L").
Image with_channels(Image image, int channels);

}  // namespace ddpm
