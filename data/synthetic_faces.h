// Cartoon faces drawn by the program itself: the data set that is always at hand.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/image.h"
#include "data/image_source.h"

namespace ddpm {

struct SyntheticFacesOptions {
  int64_t count = 5000;
  int size = 32;  // of the square images
  uint64_t seed = 0;
};

// Where a face stands in an image, in pixels: the middle of the square that it fills, and half that square's
// side.
struct FaceFrame {
  double center_x = 0;
  double center_y = 0;
  double half_side = 0;
};

// Face `index` of the family `seed`: a pure function of its arguments, at any size. (height, width, 3).
Image draw_synthetic_face(uint64_t seed, int64_t index, int width, int height, const FaceFrame& frame);

// What is told of every face; CelebA's names where it has the attribute.
const std::vector<std::string>& synthetic_face_attributes();
// 0 or 1 for each of them.
std::vector<uint8_t> synthetic_face_labels(uint64_t seed, int64_t index);

// The faces as a source for data/prepare.h; size and count out of range are an InputError.
std::unique_ptr<ImageSource> open_synthetic_faces(const SyntheticFacesOptions& options);

}  // namespace ddpm
