// Images between the order of this engine, (N, H, W, C), and that of PyTorch, (N, C, H, W).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ddpm {

// `shape` is (N, C, H, W) in either direction; the values' count is its product.
template <typename T>
std::vector<T> channels_last(const std::vector<T>& values, const std::vector<int64_t>& shape) {
  const auto images = size_t(shape.at(0)), channels = size_t(shape.at(1)),
             pixels = size_t(shape.at(2) * shape.at(3));
  std::vector<T> result(values.size());
  for (size_t n = 0; n < images; ++n)
    for (size_t c = 0; c < channels; ++c)
      for (size_t i = 0; i < pixels; ++i)
        result[(n * pixels + i) * channels + c] = values.at((n * channels + c) * pixels + i);
  return result;
}

template <typename T>
std::vector<T> channels_first(const std::vector<T>& values, const std::vector<int64_t>& shape) {
  const auto images = size_t(shape.at(0)), channels = size_t(shape.at(1)),
             pixels = size_t(shape.at(2) * shape.at(3));
  std::vector<T> result(values.size());
  for (size_t n = 0; n < images; ++n)
    for (size_t c = 0; c < channels; ++c)
      for (size_t i = 0; i < pixels; ++i)
        result[(n * channels + c) * pixels + i] = values.at((n * pixels + i) * channels + c);
  return result;
}

}  // namespace ddpm
