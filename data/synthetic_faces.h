// Procedurally drawn cartoon faces: a data set that needs no download.
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

// The square that a face fills, in pixels: its center and half its side.
struct FaceFrame {
  double center_x = 0;
  double center_y = 0;
  double half_side = 0;
};

// Face `index` for `seed`, (height, width, 3): a pure function of its arguments, at any size.
Image draw_synthetic_face(uint64_t seed, int64_t index, int width, int height, const FaceFrame& frame);

// The names of the labels; CelebA's where it has the attribute.
const std::vector<std::string>& synthetic_face_attributes();
// 0 or 1 per attribute.
std::vector<uint8_t> synthetic_face_labels(uint64_t seed, int64_t index);

// The faces as a source for data/prepare.h; InputError if size or count is out of range.
std::unique_ptr<ImageSource> open_synthetic_faces(const SyntheticFacesOptions& options);

}  // namespace ddpm
