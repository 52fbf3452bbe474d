// Antialiased image resizing, bit-identical to Pillow (up to release 12) on 8-bit images.
#pragma once

#include <string_view>

#include "data/image.h"

namespace ddpm {

enum class Filter { kBox, kBilinear, kBicubic, kLanczos };

// "box", "bilinear", "bicubic", "lanczos"; InputError for any other name.
Filter filter_from_name(std::string_view name);
std::string_view filter_name(Filter filter);

// The view resized to width x height. When shrinking, the filter is stretched by the scale so that every
// source pixel counts (antialiasing). Two passes, rows first, each rounding to 8 bits from 22-bit fixed-point
// weights: Pillow's arithmetic, which makes the result the same on every machine.
Image resize(const ImageView& source, int width, int height, Filter filter);

}  // namespace ddpm
