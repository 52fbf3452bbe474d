// The face crops of published CelebA experiments, named after the papers.
#pragma once

#include <string_view>

#include "data/image.h"
#include "data/resize.h"

namespace ddpm {

// kNone      the whole image, resized (the aspect ratio is not kept)
// kCenter    the largest centered square
// kDdim      rows 57:185, columns 25:153 of a 178x218 image (Song et al. 2021, DDIM)
// kScoreSde  rows 39:179, columns 19:159 of a 178x218 image, its center (Song et al. 2021, score SDE)
// kAdm       any size: halved by a box filter while the shorter side is at least twice the target, resized so
//            that the shorter side is the target, then the centered square (Dhariwal and Nichol 2021)
// kEdm       rows 20:198, all columns of a 178x218 image (Karras et al. 2022)
enum class Crop { kNone, kCenter, kDdim, kScoreSde, kAdm, kEdm };

// The size of CelebA's aligned images.
inline constexpr int kCelebaWidth = 178;
inline constexpr int kCelebaHeight = 218;

// "none", "center", "ddim", "score_sde", "adm", "edm"; InputError for any other name.
Crop crop_from_name(std::string_view name);
std::string_view crop_name(Crop crop);

// The paper's filter: bicubic for adm, Lanczos for edm, bilinear for the others.
Filter default_filter(Crop crop);

// Crops, then resizes to size x size. InputError if the crop needs another image size.
Image crop_and_resize(const ImageView& image, Crop crop, Filter filter, int size);

}  // namespace ddpm
