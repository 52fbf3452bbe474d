#include "data/image.h"

#include <algorithm>

#include "support/error.h"

namespace ddpm {

ImageView ImageView::crop(int top, int left, int rows, int columns) const {
  DDPM_CHECK(top >= 0 && left >= 0 && rows > 0 && columns > 0 && top + rows <= height &&
             left + columns <= width);
  ImageView result = *this;
  result.pixels = row(top) + static_cast<size_t>(left) * channels;
  result.width = columns;
  result.height = rows;
  return result;
}

Image copy(const ImageView& view) {
  Image result(view.width, view.height, view.channels);
  const size_t bytes = static_cast<size_t>(view.width) * view.channels;
  for (int y = 0; y < view.height; ++y) std::copy_n(view.row(y), bytes, result.row(y));
  return result;
}

Image with_channels(Image image, int channels) {
  DDPM_CHECK((channels == 1 || channels == 3) && (image.channels == 1 || image.channels == 3));
  if (image.channels == channels) return image;
  Image result(image.width, image.height, channels);
  const uint8_t* from = image.pixels.data();
  uint8_t* to = result.pixels.data();
  const size_t count = static_cast<size_t>(image.width) * image.height;
  for (size_t i = 0; i < count; ++i) {
    if (channels == 3)
      std::fill_n(to + 3 * i, 3, from[i]);
    else
      to[i] = static_cast<uint8_t>(
          (from[3 * i] * 19595U + from[3 * i + 1] * 38470U + from[3 * i + 2] * 7471U + 0x8000U) >> 16);
  }
  return result;
}

}  // namespace ddpm
