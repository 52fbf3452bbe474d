// The images of the forward process.
#include "model/sampling/noising_pictures.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace ddpm {
namespace {

Image gray_image(int size, uint8_t level) {
  Image image(size, size, 3);
  std::fill(image.pixels.begin(), image.pixels.end(), level);
  return image;
}

TEST(ForwardProcess, TheFirstStepIsNearlyTheImage) {
  const Image image = gray_image(32, 100);
  const int first = 0;
  const Image noisy = forward_process(image, NoiseSchedule({}), {&first, 1}, 1, 0).front();
  // The noise of t = 0 has deviation 0.01, 1.3 levels; 3,072 normals stay below 5 deviations.
  for (const uint8_t level : noisy.pixels) EXPECT_NEAR(level, 100, 7);
  EXPECT_NE(noisy.pixels, image.pixels);
}

TEST(ForwardProcess, TheLastStepIsStandardNoiseWhateverTheImage) {
  const int last = 999;
  for (const uint8_t level : {uint8_t{0}, uint8_t{255}}) {
    const Image noisy = forward_process(gray_image(128, level), NoiseSchedule({}), {&last, 1}, 1, 0).front();
    // Values at or above the last half level before 1 are shown white: P(z >= 254.5 / 127.5 - 1) = 0.1597.
    // The signal that is left, 0.0064, moves that by 0.0016; 4 deviations of the share of 49,152 are 0.0066.
    const auto white = std::count(noisy.pixels.begin(), noisy.pixels.end(), uint8_t{255});
    EXPECT_NEAR(static_cast<double>(white) / static_cast<double>(noisy.pixels.size()), 0.1597, 0.0085);
  }
}

TEST(ForwardProcess, NoiseIsTheSameAlongARowOnly) {
  const Image image = gray_image(8, 128);
  const NoiseSchedule schedule({});
  const int timesteps[] = {500, 500};
  const std::vector<Image> one = forward_process(image, schedule, timesteps, 1, 0),
                           other = forward_process(image, schedule, timesteps, 1, 1);
  EXPECT_EQ(one[0].pixels, one[1].pixels);
  EXPECT_NE(one[0].pixels, other[0].pixels);
}

TEST(ForwardProcess, StripGoesFromTheCleanImageToTheLastTimestep) {
  const Image image = gray_image(8, 200);
  const std::vector<ImageView> images = {image, image};
  const NoiseSchedule schedule({});
  const Image strip = forward_process_strip(images, schedule, {.frames = 3, .seed = 5});
  ASSERT_EQ(strip.width, 3 * 8 + 4 * 2);  // gaps of 2 between and around
  ASSERT_EQ(strip.height, 2 * 8 + 3 * 2);
  const int timesteps[] = {499, 999};
  const std::vector<Image> second_row = forward_process(image, schedule, timesteps, 5, 1);
  const auto cell_row = [&](int column) {
    const uint8_t* begin = strip.row(2 + 8 + 2) + 3 * (2 + column * 10);
    return std::vector<uint8_t>(begin, begin + 24);
  };
  EXPECT_EQ(cell_row(0), std::vector<uint8_t>(24, 200));
  for (const int column : {1, 2}) {
    const uint8_t* expected = second_row[static_cast<size_t>(column) - 1].row(0);
    EXPECT_EQ(cell_row(column), std::vector<uint8_t>(expected, expected + 24)) << column;
  }
}

}  // namespace
}  // namespace ddpm
