#include "data/crop.h"

#include <algorithm>
#include <cmath>

#include "support/enum_names.h"
#include "support/error.h"

namespace ddpm {
namespace {

constexpr EnumName<Crop> kCrops[] = {{Crop::kNone, "none"}, {Crop::kCenter, "center"},
                                     {Crop::kDdim, "ddim"}, {Crop::kScoreSde, "score_sde"},
                                     {Crop::kAdm, "adm"},   {Crop::kEdm, "edm"}};

ImageView celeba_square(const ImageView& image, Crop crop, int top, int left, int side) {
  if (image.width != kCelebaWidth || image.height != kCelebaHeight)
    throw_input("crop '{}' needs CelebA's {}x{} images, got {}x{}: choose --crop center or adm",
                crop_name(crop), kCelebaWidth, kCelebaHeight, image.width, image.height);
  return image.crop(top, left, side, side);
}

ImageView center_square(const ImageView& image, int side) {
  return image.crop((image.height - side) / 2, (image.width - side) / 2, side, side);
}

Image resize_and_crop_adm(const ImageView& image, Filter filter, int size) {
  // Beyond this the resized image, of which only the center is kept, would be huge.
  constexpr int64_t kMaxAspect = 100;
  if (std::max(image.width, image.height) > kMaxAspect * std::min(image.width, image.height))
    throw_input("a {}x{} image is too narrow for crop 'adm': remove it", image.width, image.height);
  Image halved;
  ImageView current = image;
  while (std::min(current.width, current.height) >= 2 * size) {
    halved = resize(current, current.width / 2, current.height / 2, Filter::kBox);
    current = halved;
  }
  const double scale = static_cast<double>(size) / std::min(current.width, current.height);
  // To nearest, ties to even, like Python's round.
  const int width = static_cast<int>(std::nearbyint(current.width * scale));
  const int height = static_cast<int>(std::nearbyint(current.height * scale));
  return copy(center_square(resize(current, width, height, filter), size));
}

}  // namespace

Crop crop_from_name(std::string_view name) { return parse_enum(kCrops, "crop", name); }
std::string_view crop_name(Crop crop) { return enum_name(kCrops, crop); }

Filter default_filter(Crop crop) {
  if (crop == Crop::kAdm) return Filter::kBicubic;
  if (crop == Crop::kEdm) return Filter::kLanczos;
  return Filter::kBilinear;
}

Image crop_and_resize(const ImageView& image, Crop crop, Filter filter, int size) {
  switch (crop) {
    case Crop::kNone:
      return resize(image, size, size, filter);
    case Crop::kCenter:
      return resize(center_square(image, std::min(image.width, image.height)), size, size, filter);
    case Crop::kDdim:
      return resize(celeba_square(image, crop, 57, 25, 128), size, size, filter);
    case Crop::kScoreSde:
      return resize(celeba_square(image, crop, 39, 19, 140), size, size, filter);
    case Crop::kAdm:
      return resize_and_crop_adm(image, filter, size);
    case Crop::kEdm:
      return resize(celeba_square(image, crop, 20, 0, 178), size, size, filter);
  }
  DDPM_CHECK(!"a crop without an implementation");
  return {};
}

}  // namespace ddpm
