// NumPy's .npz: a zip archive of .npy arrays, as numpy.savez writes it and evaluation tools read it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

namespace ddpm {

// Samples for evaluators: `arr_0` uint8 (N, H, W, C) and, if there are labels, `arr_1` int32 (N,).
struct NpzSamples {
  // The pixels (H, W, C) of image i; called once per image, in order.
  std::function<std::vector<uint8_t>(int64_t i)> image;
  int64_t count = 0;
  int height = 0;
  int width = 0;
  int channels = 3;
  std::span<const int32_t> labels = {};
};

// Memory use does not grow with the number of images. Exceptions from `image` propagate; nothing is
// left on disk.
void write_npz(const std::filesystem::path& path, const NpzSamples& samples);

}  // namespace ddpm
