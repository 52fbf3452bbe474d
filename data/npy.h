// NumPy's .npy format: one array, a short text header followed by its raw bytes.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "support/atomic_file.h"
#include "support/error.h"

namespace ddpm {

static_assert(std::endian::native == std::endian::little, "arrays are written in native byte order");

// NumPy's name for a C++ type.
template <typename T>
constexpr std::string_view npy_dtype() {
  if constexpr (std::is_same_v<T, uint8_t>) return "|u1";
  if constexpr (std::is_same_v<T, int32_t>) return "<i4";
  if constexpr (std::is_same_v<T, int64_t>) return "<i8";
  if constexpr (std::is_same_v<T, float>) return "<f4";
  if constexpr (std::is_same_v<T, double>) return "<f8";
}

struct NpyHeader {
  std::string dtype;  // as in the file, e.g. "|u1"
  bool fortran_order = false;
  std::vector<int64_t> shape;
  size_t data_offset = 0;  // in bytes

  int64_t element_count() const;
};

// Parses the header of a whole file. InputError, naming `path`, if the file is not .npy, has an unknown
// version or a malformed header.
NpyHeader parse_npy_header(std::span<const uint8_t> file, const std::filesystem::path& path);

// Parses the header and checks what every array of this project must have: the dtype, C order, and exactly as
// many bytes as the shape needs. InputError otherwise.
NpyHeader check_npy(std::span<const uint8_t> file, std::string_view dtype, size_t element_bytes,
                    const std::filesystem::path& path);

// Magic, version 1.0 and header of a C-order array, padded so that the data begin at a multiple of 64 bytes.
std::string npy_header(std::string_view dtype, std::span<const int64_t> shape);

template <typename T>
struct NpyArray {
  std::vector<int64_t> shape;
  std::vector<T> values;  // C order
};

template <typename T>
NpyArray<T> parse_npy(std::span<const uint8_t> file, const std::filesystem::path& path) {
  const NpyHeader header = check_npy(file, npy_dtype<T>(), sizeof(T), path);
  NpyArray<T> array{header.shape, std::vector<T>(static_cast<size_t>(header.element_count()))};
  const auto* first = reinterpret_cast<const char*>(file.data()) + header.data_offset;
  std::copy_n(first, array.values.size() * sizeof(T), reinterpret_cast<char*>(array.values.data()));
  return array;
}

template <typename T>
NpyArray<T> read_npy(const std::filesystem::path& path) {
  const std::string bytes = read_file(path);
  return parse_npy<T>(byte_view(bytes), path);
}

// The bytes of a whole file.
template <typename T>
std::vector<uint8_t> npy_bytes(std::span<const T> values, std::span<const int64_t> shape) {
  const std::string header = npy_header(npy_dtype<T>(), shape);
  std::vector<uint8_t> bytes(header.begin(), header.end());
  const auto* first = reinterpret_cast<const uint8_t*>(values.data());
  bytes.insert(bytes.end(), first, first + values.size_bytes());
  return bytes;
}

template <typename T>
void write_npy(const std::filesystem::path& path, std::span<const T> values, std::span<const int64_t> shape) {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  DDPM_CHECK(count == static_cast<int64_t>(values.size()));
  AtomicFile file(path);
  file.write(npy_header(npy_dtype<T>(), shape));
  file.write(values.data(), values.size_bytes());
  file.commit();
}

}  // namespace ddpm
