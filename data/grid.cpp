#include "data/grid.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "support/error.h"

namespace ddpm {

Image make_grid(std::span<const ImageView> images, const GridOptions& options) {
  DDPM_CHECK(!images.empty() && options.columns >= 0 && options.gap >= 0);
  const int count = static_cast<int>(images.size());
  const int columns = options.columns > 0
                          ? options.columns
                          : static_cast<int>(std::ceil(std::sqrt(static_cast<double>(count))));
  const int rows = (count + columns - 1) / columns;
  const ImageView& first = images.front();
  Image grid(columns * (first.width + options.gap) + options.gap,
             rows * (first.height + options.gap) + options.gap, first.channels);
  std::fill(grid.pixels.begin(), grid.pixels.end(), options.background);
  for (int i = 0; i < count; ++i) {
    DDPM_CHECK(images[i].width == first.width && images[i].height == first.height);
    DDPM_CHECK(images[i].channels == first.channels);
    const int left = options.gap + i % columns * (first.width + options.gap);
    const int top = options.gap + i / columns * (first.height + options.gap);
    for (int y = 0; y < first.height; ++y)
      std::copy_n(images[i].row(y), static_cast<size_t>(first.width) * first.channels,
                  grid.row(top + y) + static_cast<size_t>(left) * first.channels);
  }
  return grid;
}

Image make_grid(std::span<const Image> images, const GridOptions& options) {
  const std::vector<ImageView> views(images.begin(), images.end());
  return make_grid(std::span<const ImageView>(views), options);
}

}  // namespace ddpm
