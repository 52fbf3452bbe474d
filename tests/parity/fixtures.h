// What the parity tests share: where diffusers' answers lie, PyTorch's order of elements and the measure of
// an error, as tests/parity/README.md defines them. Tests only; depends on model/weights/safetensors.h.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "model/weights/safetensors.h"
#include "support/atomic_file.h"

namespace ddpm::parity {

inline std::filesystem::path fixtures() { return DDPM_PARITY_FIXTURES; }

inline nlohmann::json read_json(const std::filesystem::path& path) {
  return nlohmann::json::parse(read_file(path));
}

// (N,C,H,W) -> (N,H,W,C); filters (K,C,R,S) -> (K,R,S,C) likewise. Other ranks agree in both.
template <typename T>
std::vector<T> channels_last(const std::vector<T>& values, const std::vector<int64_t>& shape) {
  if (shape.size() != 4) return values;
  const auto n = size_t(shape[0]), c = size_t(shape[1]), pixels = size_t(shape[2] * shape[3]);
  std::vector<T> result(values.size());
  for (size_t i = 0; i < n; ++i)
    for (size_t channel = 0; channel < c; ++channel)
      for (size_t pixel = 0; pixel < pixels; ++pixel)
        result[(i * pixels + pixel) * c + channel] = values[(i * c + channel) * pixels + pixel];
  return result;
}

// A tensor of a fixture in our order.
inline std::vector<double> read_channels_last(const SafetensorsFile& file, const std::string& name) {
  return channels_last(file.values<double>(name), file.tensor(name).shape);
}

inline double largest(const std::vector<double>& values) {
  double most = 0;
  for (const double value : values) most = std::max(most, std::abs(value));
  return most;
}

// max |actual - expected|; infinite where the counts differ or a value is not finite.
template <typename T>
double largest_difference(std::span<const T> actual, const std::vector<double>& expected) {
  if (actual.size() != expected.size()) return INFINITY;
  double most = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    const double difference = std::abs(double(actual[i]) - expected[i]);
    if (!std::isfinite(difference)) return INFINITY;
    most = std::max(most, difference);
  }
  return most;
}

template <typename T>
double relative_error(const std::vector<T>& actual, const std::vector<double>& expected) {
  return largest_difference<T>(actual, expected) / largest(expected);
}

}  // namespace ddpm::parity
