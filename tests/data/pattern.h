// The test image, which scripts/make_pillow_fixtures.py draws too, and helpers for the fixtures.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/image.h"
#include "data/npy.h"
#include "support/error.h"

namespace ddpm {

inline Image pattern(int width, int height, int channels) {
  Image image(width, height, channels);
  size_t i = 0;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < channels; ++c)
        image.pixels[i++] =
            static_cast<uint8_t>((5 * x + 3 * y + 40 * c + 37 * ((x * y + 31 * c) % 7)) % 256);
  return image;
}

inline std::filesystem::path fixture_path(const std::string& name) {
  return std::filesystem::path(DDPM_TEST_FIXTURES) / name;
}

inline Image fixture(const std::string& name) {
  const NpyArray<uint8_t> array = read_npy<uint8_t>(fixture_path(name + ".npy"));
  Image image(static_cast<int>(array.shape.at(1)), static_cast<int>(array.shape.at(0)),
              static_cast<int>(array.shape.at(2)));
  image.pixels = array.values;
  return image;
}

// The largest difference of two images of one shape; 256 where the shapes differ or there are no pixels.
inline int largest_difference(const Image& a, const Image& b) {
  if (a.width != b.width || a.height != b.height || a.channels != b.channels || a.pixels.empty()) return 256;
  int largest = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i)
    largest = std::max(largest, std::abs(a.pixels[i] - b.pixels[i]));
  return largest;
}

// The message of the InputError that `action` throws; empty if it throws none.
inline std::string input_error(const std::function<void()>& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return {};
}

// The folder of real data; null if there is none, and then the test must call GTEST_SKIP.
inline const char* test_data_folder() { return std::getenv("DDPM_TEST_DATA"); }

}  // namespace ddpm
