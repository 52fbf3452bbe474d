// The oracle is Pillow (scripts/make_pillow_fixtures.py). Results must be equal, since the arithmetic is
// Pillow's down to the integer weights.
#include "data/resize.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <tuple>

#include "data/crop.h"
#include "tests/data/pattern.h"

namespace ddpm {
namespace {

struct Target {
  int width, height, channels;
};

class Resize : public testing::TestWithParam<std::tuple<Filter, Target>> {};

TEST_P(Resize, MatchesPillow) {
  const auto& [filter, target] = GetParam();
  const Image result = resize(pattern(45, 61, target.channels), target.width, target.height, filter);
  const Image expected = fixture(
      fmt::format("resize_{}_{}x{}x{}", filter_name(filter), target.width, target.height, target.channels));
  EXPECT_EQ(largest_difference(result, expected), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Fixtures, Resize,
    testing::Combine(testing::Values(Filter::kBox, Filter::kBilinear, Filter::kBicubic, Filter::kLanczos),
                     testing::Values(Target{17, 23, 3}, Target{60, 29, 3}, Target{45, 20, 3},
                                     Target{30, 61, 3}, Target{17, 23, 1})));

TEST(Resize, ReadsOnlyTheView) {
  const Image image = pattern(45, 61, 3);
  const ImageView view = ImageView(image).crop(7, 5, 30, 20);
  EXPECT_EQ(resize(view, 11, 13, Filter::kLanczos).pixels,
            resize(copy(view), 11, 13, Filter::kLanczos).pixels);
}

TEST(Resize, ConstantStaysConstant) {
  Image image(31, 17, 3);
  std::fill(image.pixels.begin(), image.pixels.end(), uint8_t{255});
  for (const Filter filter : {Filter::kBox, Filter::kBilinear, Filter::kBicubic, Filter::kLanczos})
    EXPECT_THAT(resize(image, 9, 40, filter).pixels, testing::Each(255)) << filter_name(filter);
}

TEST(Resize, RefusesUnknownFilter) {
  EXPECT_THAT(input_error([] { filter_from_name("nearest"); }),
              testing::AllOf(testing::HasSubstr("nearest"), testing::HasSubstr("bilinear")));
}

class CropImage : public testing::TestWithParam<std::tuple<Crop, int>> {};

TEST_P(CropImage, MatchesPillow) {
  const auto& [crop, size] = GetParam();
  const Image result = crop_and_resize(pattern(178, 218, 3), crop, default_filter(crop), size);
  EXPECT_EQ(largest_difference(result, fixture(fmt::format("crop_{}_{}", crop_name(crop), size))), 0);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, CropImage,
                         testing::Combine(testing::Values(Crop::kDdim, Crop::kScoreSde, Crop::kAdm,
                                                          Crop::kEdm),
                                          testing::Values(32, 64)));

TEST(Crop, AdmAcceptsOtherSizes) {
  const Image result = crop_and_resize(pattern(203, 110, 3), Crop::kAdm, Filter::kBicubic, 40);
  EXPECT_EQ(largest_difference(result, fixture("crop_adm_40_of_203x110")), 0);
}

TEST(Crop, CenterTakesTheLargestSquare) {
  const Image image = pattern(50, 30, 3);
  EXPECT_EQ(crop_and_resize(image, Crop::kCenter, Filter::kBox, 30).pixels,
            copy(ImageView(image).crop(0, 10, 30, 30)).pixels);
}

TEST(Crop, RefusesSizesOtherThanCelebas) {
  for (const Crop crop : {Crop::kDdim, Crop::kScoreSde, Crop::kEdm})
    EXPECT_THAT(
        input_error([&] { crop_and_resize(pattern(64, 64, 3), crop, Filter::kBilinear, 32); }),
        testing::AllOf(testing::HasSubstr(std::string(crop_name(crop))), testing::HasSubstr("64x64")));
}

// The resized height would not fit into an int.
TEST(Crop, AdmRefusesAStripe) {
  EXPECT_THAT(input_error([] { crop_and_resize(Image(1, 100000, 3), Crop::kAdm, Filter::kBicubic, 4096); }),
              testing::HasSubstr("too narrow"));
}

TEST(Crop, UnknownNameIsRefused) {
  EXPECT_THAT(input_error([] { crop_from_name("face"); }), testing::HasSubstr("'face'"));
}

TEST(Channels, GrayMatchesPillow) {
  EXPECT_EQ(largest_difference(with_channels(pattern(45, 61, 3), 1), fixture("grey_of_color")), 0);
}

TEST(Channels, GrayToColorRepeats) {
  const Image color = with_channels(pattern(4, 3, 1), 3);
  const Image grey = pattern(4, 3, 1);
  for (size_t i = 0; i < color.pixels.size(); ++i) EXPECT_EQ(color.pixels[i], grey.pixels[i / 3]);
}

}  // namespace
}  // namespace ddpm
