// Shared by the parity tests: the fixtures that diffusers wrote, PyTorch's tensor layout, and the error
// measure of tests/parity/README.md.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "data/tensor_order.h"
#include "model/weights/safetensors.h"
#include "support/atomic_file.h"

namespace ddpm::parity {

inline std::filesystem::path fixtures() { return DDPM_PARITY_FIXTURES; }

inline nlohmann::json read_json(const std::filesystem::path& path) {
  return nlohmann::json::parse(read_file(path));
}

// (N, C, H, W) -> (N, H, W, C); filters (K, C, R, S) -> (K, R, S, C) likewise. Other ranks are the
// same in both.
template <typename T>
std::vector<T> channels_last(const std::vector<T>& values, const std::vector<int64_t>& shape) {
  return shape.size() == 4 ? ddpm::channels_last(values, shape) : values;
}

// A fixture's tensor in our layout.
inline std::vector<double> read_channels_last(const SafetensorsFile& file, const std::string& name) {
  return channels_last(file.values<double>(name), file.tensor(name).shape);
}

inline double largest(const std::vector<double>& values) {
  double most = 0;
  for (const double value : values) most = std::max(most, std::abs(value));
  return most;
}

// max |actual - expected|; infinite if the sizes differ or a value is not finite.
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

// Infinite, too, if all expected values are zero or there are none, so that comparing nothing never passes.
template <typename T>
double relative_error(const std::vector<T>& actual, const std::vector<double>& expected) {
  const double scale = largest(expected);
  return scale > 0 ? largest_difference<T>(actual, expected) / scale : INFINITY;
}

}  // namespace ddpm::parity
