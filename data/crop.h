// The face crops of the published CelebA experiments, by their owners' names.
#pragma once

#include <string_view>

#include "data/image.h"
#include "data/resize.h"

namespace ddpm {

// kNone    the whole image, resized (its aspect is not kept)
// kCenter  the largest centred square
// kDdim    rows 57:185, columns 25:153 of a 178x218 image       (Song et al. 2021, DDIM)
// kScoreSde  rows 39:179, columns 19:159 of a 178x218 image     (Song et al. 2021, score SDE: the centred
// 140x140) kAdm     halved by a box filter while the shorter side is at least twice the target, then resized
// so that the
//          shorter side is the target, then the centred square  (Dhariwal and Nichol 2021); any image size
// kEdm     rows 20:198, all columns of a 178x218 image          (Karras et al. 2022)
enum class Crop { kNone, kCenter, kDdim, kScoreSde, kAdm, kEdm };

// "none", "center", "ddim", "score_sde", "adm", "edm"; any other name is an InputError that lists these.
Crop crop_from_name(std::string_view name);
std::string_view crop_name(Crop crop);

// The filter that the crop's owners use: bicubic for adm, Lanczos for edm, bilinear for the others.
Filter default_filter(Crop crop);

// Crops, then resizes to size x size. An image of another size than the crop was made for is an InputError.
Image crop_and_resize(const ImageView& image, Crop crop, Filter filter, int size);

}  // namespace ddpm
