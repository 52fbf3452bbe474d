#include "data/resize.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

#include "support/enum_names.h"
#include "support/error.h"

namespace ddpm {
namespace {

constexpr EnumName<Filter> kFilters[] = {{Filter::kBox, "box"},
                                         {Filter::kBilinear, "bilinear"},
                                         {Filter::kBicubic, "bicubic"},
                                         {Filter::kLanczos, "lanczos"}};

// Fraction bits of a weight: 32 minus 8 for the pixel and 2 for the overshoot of filters with negative lobes.
constexpr int kFractionBits = 32 - 8 - 2;

// Half the width of the filter at scale 1, in source pixels.
double filter_support(Filter filter) {
  switch (filter) {
    case Filter::kBox:
      return 0.5;
    case Filter::kBilinear:
      return 1.0;
    case Filter::kBicubic:
      return 2.0;
    case Filter::kLanczos:
      return 3.0;
  }
  DDPM_CHECK(!"a filter without a support");
  return 0;
}

double sinc(double x) {
  if (x == 0) return 1;
  const double angle = x * std::numbers::pi;
  return std::sin(angle) / angle;
}

// Keys' cubic convolution kernel (1981) with a = -1/2.
double cubic(double x) {
  constexpr double kA = -0.5;
  const double distance = std::abs(x);
  if (distance < 1) return ((kA + 2) * distance - (kA + 3)) * distance * distance + 1;
  if (distance < 2) return (((distance - 5) * distance + 8) * distance - 4) * kA;
  return 0;
}

double filter_value(Filter filter, double x) {
  switch (filter) {
    case Filter::kBox:
      return x > -0.5 && x <= 0.5 ? 1 : 0;
    case Filter::kBilinear:
      return std::max(0.0, 1 - std::abs(x));
    case Filter::kBicubic:
      return cubic(x);
    case Filter::kLanczos:
      return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
  }
  DDPM_CHECK(!"a filter without a kernel");
  return 0;
}

// For each output position, its source positions and their fixed-point weights.
struct Taps {
  struct Span {
    int first = 0;
    int count = 0;
  };
  std::vector<Span> spans;
  std::vector<int32_t> weights;  // (output size, width)
  int width = 0;

  const int32_t* of(int position) const { return weights.data() + static_cast<size_t>(position) * width; }
};

Taps make_taps(int source_size, int target_size, Filter filter) {
  const double scale = static_cast<double>(source_size) / target_size;
  const double stretch = std::max(scale, 1.0);
  const double support = filter_support(filter) * stretch;
  Taps taps;
  taps.width = static_cast<int>(std::ceil(support)) * 2 + 1;
  taps.spans.resize(target_size);
  taps.weights.resize(static_cast<size_t>(target_size) * taps.width);
  std::vector<double> values(taps.width);
  for (int i = 0; i < target_size; ++i) {
    const double center = (i + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(std::floor(center - support + 0.5)));
    const int count = std::min(source_size, static_cast<int>(std::floor(center + support + 0.5))) - first;
    double sum = 0;
    for (int k = 0; k < count; ++k) {
      values[k] = filter_value(filter, (k + first - center + 0.5) / stretch);
      sum += values[k];
    }
    taps.spans[i] = {first, count};
    int32_t* weights = taps.weights.data() + static_cast<size_t>(i) * taps.width;
    for (int k = 0; k < count; ++k)
      weights[k] = static_cast<int32_t>(std::round(values[k] / sum * (1 << kFractionBits)));
  }
  return taps;
}

uint8_t to_pixel(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kFractionBits, 0, 255)); }

constexpr int32_t kHalf = 1 << (kFractionBits - 1);

template <int kChannels>
Image resize_rows(const ImageView& source, int width, Filter filter) {
  const Taps taps = make_taps(source.width, width, filter);
  Image result(width, source.height, kChannels);
  for (int y = 0; y < source.height; ++y) {
    uint8_t* to = result.row(y);
    for (int x = 0; x < width; ++x, to += kChannels) {
      const auto [first, count] = taps.spans[x];
      const int32_t* weights = taps.of(x);
      const uint8_t* from = source.row(y) + static_cast<size_t>(first) * kChannels;
      std::array<int32_t, kChannels> sums;
      sums.fill(kHalf);
      for (int k = 0; k < count; ++k, from += kChannels)
        for (int c = 0; c < kChannels; ++c) sums[c] += from[c] * weights[k];
      for (int c = 0; c < kChannels; ++c) to[c] = to_pixel(sums[c]);
    }
  }
  return result;
}

Image resize_columns(const ImageView& source, int height, Filter filter) {
  const Taps taps = make_taps(source.height, height, filter);
  const int row_size = source.width * source.channels;
  Image result(source.width, height, source.channels);
  std::vector<int32_t> sums(row_size);
  for (int y = 0; y < height; ++y) {
    const auto [first, count] = taps.spans[y];
    const int32_t* weights = taps.of(y);
    std::fill(sums.begin(), sums.end(), kHalf);
    for (int k = 0; k < count; ++k) {
      const uint8_t* from = source.row(first + k);
      for (int x = 0; x < row_size; ++x) sums[x] += from[x] * weights[k];
    }
    std::transform(sums.begin(), sums.end(), result.row(y), to_pixel);
  }
  return result;
}

}  // namespace

Filter filter_from_name(std::string_view name) { return parse_enum(kFilters, "resize filter", name); }
std::string_view filter_name(Filter filter) { return enum_name(kFilters, filter); }

Image resize(const ImageView& source, int width, int height, Filter filter) {
  DDPM_CHECK(width > 0 && height > 0 && source.width > 0 && source.height > 0);
  DDPM_CHECK(source.channels == 1 || source.channels == 3);
  if (width == source.width && height == source.height) return copy(source);
  if (width == source.width) return resize_columns(source, height, filter);
  const Image rows =
      source.channels == 3 ? resize_rows<3>(source, width, filter) : resize_rows<1>(source, width, filter);
  return height == source.height ? rows : resize_columns(rows, height, filter);
}

}  // namespace ddpm
