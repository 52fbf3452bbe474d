// Conversions between this engine's image layout, (N, H, W, C), and PyTorch's, (N, C, H, W).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ddpm {

namespace detail {

// (images, rows, columns) -> (images, columns, rows).
template <typename T>
std::vector<T> transposed(const std::vector<T>& values, int64_t images, int64_t rows, int64_t columns) {
  std::vector<T> result(values.size());
  for (int64_t n = 0; n < images; ++n)
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; ++c)
        result[size_t((n * columns + c) * rows + r)] = values.at(size_t((n * rows + r) * columns + c));
  return result;
}

}  // namespace detail

// `shape` is (N, C, H, W) in either direction; values.size() is its product.
template <typename T>
std::vector<T> channels_last(const std::vector<T>& values, const std::vector<int64_t>& shape) {
  return detail::transposed(values, shape.at(0), shape.at(1), shape.at(2) * shape.at(3));
}

template <typename T>
std::vector<T> channels_first(const std::vector<T>& values, const std::vector<int64_t>& shape) {
  return detail::transposed(values, shape.at(0), shape.at(2) * shape.at(3), shape.at(1));
}

}  // namespace ddpm
