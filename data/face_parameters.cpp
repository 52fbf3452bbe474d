#include "data/face_parameters.h"

#include <array>
#include <initializer_list>
#include <numeric>
#include <utility>

namespace ddpm {
namespace {

constexpr int kSkinTones = 8;
constexpr std::array<Color, kSkinTones> kSkin = {{{255, 228, 210},
                                                  {250, 214, 187},
                                                  {240, 196, 162},
                                                  {226, 175, 136},
                                                  {203, 147, 106},
                                                  {168, 114, 78},
                                                  {130, 84, 58},
                                                  {98, 62, 45}}};
constexpr int kPaleSkin = 0;  // the last index that counts as pale
constexpr int kDarkSkin = 5;  // the first that counts as dark
constexpr std::array<Color, 5> kHair = {
    {{32, 27, 28}, {104, 66, 38}, {226, 188, 104}, {188, 84, 36}, {176, 176, 180}}};
constexpr std::array<Color, 6> kBackground = {
    {{152, 196, 226}, {176, 214, 178}, {242, 210, 160}, {226, 184, 200}, {198, 188, 226}, {214, 218, 222}}};
constexpr std::array<Color, 6> kShirt = {
    {{58, 96, 160}, {172, 56, 60}, {60, 132, 96}, {236, 236, 240}, {60, 60, 72}, {222, 160, 48}}};
constexpr std::array<Color, 4> kIris = {{{92, 58, 34}, {54, 104, 168}, {70, 124, 80}, {40, 32, 30}}};
constexpr std::array<Color, 3> kFrame = {{{28, 28, 34}, {132, 40, 44}, {78, 66, 120}}};
constexpr std::array<Color, 5> kHat = {
    {{196, 62, 60}, {52, 92, 150}, {70, 130, 84}, {84, 76, 96}, {224, 168, 60}}};

// SplitMix64 (Steele, Lea and Flood 2014): a counter passed through a mixing function, so that face i does
// not depend on the faces before it.
class Random {
 public:
  Random(uint64_t seed, uint64_t index) : state_(mixed(seed) ^ mixed(index + 0x632be59bd9b4e019ULL)) {}

  double uniform(double low, double high) {
    state_ += 0x9e3779b97f4a7c15ULL;
    return low + (high - low) * static_cast<double>(mixed(state_) >> 11) * 0x1p-53;
  }
  bool chance(double probability) { return uniform(0, 1) < probability; }
  // An index, drawn with probability proportional to its weight.
  size_t pick(std::initializer_list<double> weights) {
    double left = uniform(0, std::accumulate(weights.begin(), weights.end(), 0.0));
    size_t index = 0;
    for (const double weight : weights) {
      if (left < weight) return index;
      left -= weight;
      ++index;
    }
    return weights.size() - 1;
  }
  template <size_t N>
  Color color(const std::array<Color, N>& palette) {
    return jittered(palette[static_cast<size_t>(uniform(0, N))]);
  }
  Color jittered(Color color) {
    constexpr double kJitter = 7;
    color.red += uniform(-kJitter, kJitter);
    color.green += uniform(-kJitter, kJitter);
    color.blue += uniform(-kJitter, kJitter);
    return color;
  }

 private:
  static uint64_t mixed(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  uint64_t state_;
};

void choose_hair(Random& random, FaceParameters& face) {
  face.hair_style = static_cast<HairStyle>(random.pick({6, 20, 16, 18, 20, 12, 8}));
  face.hair_color = static_cast<HairColor>(random.pick({30, 28, 18, 12, 12}));
  face.hair = random.jittered(kHair[static_cast<size_t>(face.hair_color)]);
}

void choose_shape(Random& random, FaceParameters& face) {
  face.head_width = random.uniform(0.47, 0.55);
  face.head_height = random.uniform(0.56, 0.64);
  face.jaw = random.uniform(0.68, 0.92);
  face.eye_distance = random.uniform(0.19, 0.23);
  face.eye_size = random.uniform(0.085, 0.115);
  face.brow_thickness = random.uniform(0.018, 0.042);
  face.brow_angle = random.uniform(-0.05, 0.015);
  face.yaw = random.uniform(-1, 1);
  face.tilt = random.uniform(-0.16, 0.16);
}

void choose_expression(Random& random, FaceParameters& face) {
  face.smile = random.chance(0.62) ? random.uniform(0.06, 0.12) : random.uniform(-0.025, 0.025);
  face.mouth_width = random.uniform(0.15, 0.22);
  face.mouth = random.chance(0.4) ? Mouth::kOpen : Mouth::kClosed;
}

void choose_extras(Random& random, FaceParameters& face) {
  face.glasses = static_cast<Glasses>(random.pick({72, 16, 12}));
  face.frame = random.color(kFrame);
  const bool long_hair = face.hair_style == HairStyle::kLong || face.hair_style == HairStyle::kBun;
  const Beard beard = static_cast<Beard>(random.pick({70, 9, 9, 12}));
  face.beard = long_hair ? Beard::kNone : beard;
  face.hat = static_cast<Hat>(random.pick({86, 8, 6}));
  face.hat_color = random.color(kHat);
  face.rosy_cheeks = random.chance(0.25);
  face.lipstick = random.chance(0.3) && face.beard == Beard::kNone;
  face.earrings = random.chance(0.25) && face.beard == Beard::kNone;
}

}  // namespace

FaceParameters face_parameters(uint64_t seed, int64_t index) {
  Random random(seed, static_cast<uint64_t>(index));
  FaceParameters face;
  face.skin = static_cast<int>(random.uniform(0, kSkinTones));
  face.skin_color = random.jittered(kSkin[static_cast<size_t>(face.skin)]);
  face.background = random.color(kBackground);
  face.shirt = random.color(kShirt);
  face.iris = random.color(kIris);
  choose_hair(random, face);
  choose_shape(random, face);
  choose_expression(random, face);
  choose_extras(random, face);
  return face;
}

const std::vector<std::string>& face_attribute_names() {
  static const std::vector<std::string> kNames = {
      "Bald",           "Bangs",       "Black_Hair",       "Blond_Hair",  "Brown_Hair",
      "Bushy_Eyebrows", "Eyeglasses",  "Goatee",           "Gray_Hair",   "Mouth_Slightly_Open",
      "Mustache",       "No_Beard",    "Pale_Skin",        "Rosy_Cheeks", "Smiling",
      "Straight_Hair",  "Wavy_Hair",   "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick",
      "Dark_Skin",      "Facing_Left", "Facing_Right",     "Long_Hair",   "Red_Hair"};
  return kNames;
}

std::vector<uint8_t> face_attributes(const FaceParameters& face) {
  const bool bald = face.hair_style == HairStyle::kBald;
  const auto has_hair = [&](HairColor color) { return !bald && face.hair_color == color; };
  const bool wavy = face.hair_style == HairStyle::kCurly;
  const std::initializer_list<bool> values = {bald,
                                              face.hair_style == HairStyle::kBangs && face.hat == Hat::kNone,
                                              has_hair(HairColor::kBlack),
                                              has_hair(HairColor::kBlond),
                                              has_hair(HairColor::kBrown),
                                              face.brow_thickness > 0.036,
                                              face.glasses != Glasses::kNone,
                                              face.beard == Beard::kGoatee,
                                              has_hair(HairColor::kGray),
                                              face.mouth == Mouth::kOpen,
                                              face.beard == Beard::kMustache || face.beard == Beard::kFull,
                                              face.beard == Beard::kNone,
                                              face.skin <= kPaleSkin,
                                              face.rosy_cheeks,
                                              face.smile > 0.04,
                                              !bald && !wavy,
                                              wavy,
                                              face.earrings,
                                              face.hat != Hat::kNone,
                                              face.lipstick,
                                              face.skin >= kDarkSkin,
                                              face.yaw<-0.33, face.yaw> 0.33,
                                              face.hair_style == HairStyle::kLong,
                                              has_hair(HairColor::kRed)};
  return {values.begin(), values.end()};
}

}  // namespace ddpm
