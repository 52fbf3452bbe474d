// NumPy's .npz: a zip archive of .npy arrays, as numpy.savez writes it and the evaluation tools of the
// field read it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

namespace ddpm {

// Samples for evaluators: `arr_0` uint8 (N, H, W, C) and, where labels are given, `arr_1` int32 (N,).
struct NpzSamples {
  std::function<std::vector<uint8_t>(int64_t i)>
      image;  // its pixels (H, W, C); called once for each, in order
  int64_t count = 0;
  int height = 0;
  int width = 0;
  int channels = 3;
  std::span<const int32_t> labels = {};
};

// Memory does not grow with the number of images. What `image` throws comes out of here, and nothing is left
// on disk.
void write_npz(const std::filesystem::path& path, const NpzSamples& samples);

}  // namespace ddpm
