#include "data/synthetic_faces.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "data/canvas.h"
#include "data/content_hash.h"
#include "data/face_painter.h"
#include "data/face_parameters.h"
#include "data/resize.h"
#include "tests/data/pattern.h"

namespace ddpm {
namespace {

Image face(uint64_t seed, int64_t index, int size) {
  const double half = 0.5 * size;
  return draw_synthetic_face(seed, index, size, size, {half, half, half});
}

double mean_difference(const Image& a, const Image& b) {
  double sum = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) sum += std::abs(a.pixels[i] - b.pixels[i]);
  return sum / static_cast<double>(a.pixels.size());
}

TEST(SyntheticFaces, AreAFunctionOfSeedAndIndex) {
  EXPECT_EQ(face(1, 5, 32).pixels, face(1, 5, 32).pixels);
  EXPECT_NE(face(1, 5, 32).pixels, face(1, 6, 32).pixels);
  EXPECT_NE(face(1, 5, 32).pixels, face(2, 5, 32).pixels);
  // Seeds are not shifts of each other, either.
  EXPECT_NE(face(1, 6, 32).pixels, face(2, 5, 32).pixels);
}

TEST(SyntheticFaces, NoTwoOfAThousandAreEqual) {
  std::set<std::string> seen;
  for (int64_t i = 0; i < 1000; ++i) {
    const Image image = face(0, i, 8);
    seen.insert(content_hash(image.pixels.data(), image.pixels.size()));
  }
  EXPECT_EQ(seen.size(), 1000U);
}

// Antialiasing: a face drawn at twice the size and averaged is the face drawn small, except at edges, where
// the coverage is first-order. Two different faces differ by more than 20 levels on average (checked below).
TEST(SyntheticFaces, SizesShowTheSameFace) {
  for (int64_t i = 0; i < 20; ++i) {
    const Image small = face(0, i, 64);
    const Image averaged = resize(face(0, i, 128), 64, 64, Filter::kBox);
    EXPECT_LT(mean_difference(small, averaged), 3) << i;
  }
  EXPECT_GT(mean_difference(face(0, 0, 64), face(0, 1, 64)), 20);
}

TEST(SyntheticFaces, EveryAttributeOccursAndNoneAlways) {
  const size_t width = synthetic_face_attributes().size();
  ASSERT_GT(width, 0u);
  std::vector<int> counts(width);
  constexpr int kFaces = 1000;
  for (int64_t i = 0; i < kFaces; ++i) {
    const std::vector<uint8_t> labels = synthetic_face_labels(0, i);
    ASSERT_EQ(labels.size(), width);
    for (size_t k = 0; k < width; ++k) counts[k] += labels[k];
  }
  // The rarest have a probability of 6 %: fewer than 2 % or more than 98 % of 1000 would be a bug.
  for (size_t k = 0; k < width; ++k) {
    EXPECT_GT(counts[k], kFaces / 50) << synthetic_face_attributes()[k];
    EXPECT_LT(counts[k], kFaces * 49 / 50) << synthetic_face_attributes()[k];
  }
}

TEST(SyntheticFaces, LabelsDescribeTheParameters) {
  const std::vector<std::string>& names = synthetic_face_attributes();
  const auto at = [&](const char* name) {
    return static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin());
  };
  FaceParameters parameters;
  parameters.hair_style = HairStyle::kLong;
  parameters.hair_color = HairColor::kBlond;
  parameters.smile = 0.1;
  parameters.yaw = -0.8;
  const std::vector<uint8_t> labels = face_attributes(parameters);
  for (const char* name : {"Blond_Hair", "Smiling", "Facing_Left", "Long_Hair", "No_Beard", "Straight_Hair"})
    EXPECT_EQ(labels.at(at(name)), 1) << name;
  for (const char* name : {"Black_Hair", "Bald", "Facing_Right", "Eyeglasses", "Wearing_Hat", "Wavy_Hair"})
    EXPECT_EQ(labels.at(at(name)), 0) << name;
}

// Labels describe the image: glasses change the region of the eyes, not the chin.
TEST(SyntheticFaces, GlassesChangeTheEyesAlone) {
  FaceParameters parameters = face_parameters(0, 3);
  const auto draw = [&](Glasses glasses) {
    parameters.glasses = glasses;
    parameters.tilt = 0;
    Canvas canvas(64, 64, {32, 32}, 32);
    paint_face(canvas, parameters);
    return canvas.image();
  };
  const Image without = draw(Glasses::kNone);
  for (const Glasses glasses : {Glasses::kRound, Glasses::kSquare}) {
    const Image with = draw(glasses);
    const auto rows = [](const Image& image, int top, int count) {
      return copy(ImageView(image).crop(top, 0, count, 64));
    };
    EXPECT_GT(mean_difference(rows(with, 26, 12), rows(without, 26, 12)), 5);
    EXPECT_EQ(rows(with, 44, 20).pixels, rows(without, 44, 20).pixels);
  }
}

TEST(SyntheticFaces, OptionsOutOfRangeAreErrors) {
  EXPECT_THAT(input_error([] { open_synthetic_faces({.count = 0}); }),
              testing::HasSubstr("0 synthetic faces"));
  EXPECT_THAT(input_error([] { open_synthetic_faces({.count = -3}); }),
              testing::HasSubstr("-3 synthetic faces"));
  EXPECT_THAT(input_error([] { open_synthetic_faces({.count = 1, .size = 4}); }),
              testing::HasSubstr("size 4"));
}

TEST(Canvas, CoverageOfAHalfPixelIsHalf) {
  Canvas canvas(4, 1, {0, 0}, 1);
  canvas.fill_background([](Point) { return Color{0, 0, 0}; });
  canvas.paint(RoundedBox{{0, 0.5}, 1.5, 10, 0}, {200, 100, 50});  // covers x < 1.5
  const Image image = canvas.image();
  EXPECT_EQ(image.pixels[0], 200);
  EXPECT_NEAR(image.pixels[3], 100, 1);  // rounding of a half
  EXPECT_EQ(image.pixels[6], 0);
}

// The bounds only save time: everything outside of them is outside of the shape.
TEST(Canvas, BoundsHoldTheWholeShape) {
  const auto check = [](const auto& shape) {
    const Circle bounds = shape.bounds();
    int inside = 0;
    for (double y = -2; y <= 2; y += 0.05)
      for (double x = -2; x <= 2; x += 0.05)
        if (shape.distance({x, y}) < 0) {
          EXPECT_LE(length(Point{x, y} - bounds.center), bounds.radius + 1e-9);
          ++inside;
        }
    EXPECT_GT(inside, 0);
  };
  check(Ellipse{{0.2, 0.1}, 0.7, 0.3});
  check(Capsule{{-0.5, 0.2}, {0.8, -0.3}, 0.1});
  check(RoundedBox{{0.1, 0.2}, 0.5, 0.4, 0.1});
  check(Curve{{-0.5, 0}, {0, 1.2}, {0.5, 0.1}, 0.05});
  check(Outline{Ellipse{{0.2, 0.1}, 0.7, 0.3}, 0.08});
  check(Both{Ellipse{{0, 0}, 0.7, 0.7}, Above{0.1}});
  check(Without{Ellipse{{0, 0}, 0.7, 0.7}, Above{0.1}});
}

}  // namespace
}  // namespace ddpm
