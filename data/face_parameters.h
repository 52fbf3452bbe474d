// What makes one synthetic face differ from another.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/canvas.h"

namespace ddpm {

enum class HairStyle { kBald, kShort, kSidePart, kBangs, kLong, kCurly, kBun };
enum class HairColor { kBlack, kBrown, kBlond, kRed, kGray };
enum class Glasses { kNone, kRound, kSquare };
enum class Beard { kNone, kMustache, kGoatee, kFull };
enum class Mouth { kClosed, kOpen };
enum class Hat { kNone, kBeanie, kCap };

// Lengths are in the painter's unit (data/face_painter.h).
struct FaceParameters {
  int skin = 0;  // index into the skin tones, from pale to dark
  Color skin_color;
  HairStyle hair_style = HairStyle::kShort;
  HairColor hair_color = HairColor::kBrown;
  Color hair;
  Color background;
  Color shirt;
  Color iris;
  double head_width = 0;  // half of it
  double head_height = 0;
  double jaw = 0;  // the chin's width relative to the head's
  double eye_distance = 0;
  double eye_size = 0;
  double brow_thickness = 0;
  double brow_angle = 0;
  double smile = 0;  // how far the corners of the mouth rise; negative: fall
  double mouth_width = 0;
  Mouth mouth = Mouth::kClosed;
  Glasses glasses = Glasses::kNone;
  Color frame;
  Beard beard = Beard::kNone;
  Hat hat = Hat::kNone;
  Color hat_color;
  bool rosy_cheeks = false;
  bool lipstick = false;
  bool earrings = false;
  double yaw = 0;   // -1: facing the left of the image, 1: the right
  double tilt = 0;  // radians, clockwise
};

// The parameters of face `index` for `seed`: a pure function, the same on every machine.
FaceParameters face_parameters(uint64_t seed, int64_t index);

const std::vector<std::string>& face_attribute_names();
// 0 or 1 for each name.
std::vector<uint8_t> face_attributes(const FaceParameters& face);

}  // namespace ddpm
