// Contact sheets: many images laid out as one.
#pragma once

#include <span>

#include "data/image.h"

namespace ddpm {

struct GridOptions {
  int columns = 0;  // 0: the fewest columns that make the sheet at least as wide as high
  int gap = 2;      // pixels between neighbors and around the sheet
  uint8_t background = 255;
};

// The images row by row; all must have the same size.
Image make_grid(std::span<const ImageView> images, const GridOptions& options = {});
Image make_grid(std::span<const Image> images, const GridOptions& options = {});

}  // namespace ddpm
