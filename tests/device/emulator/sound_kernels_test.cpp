// Correct kernels pass in every build (plain, address, thread sanitizer) and in every thread order.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>

#include "tests/device/device_memory.h"
#include "tests/device/emulator/sound/kernels.h"

namespace ddpm {
namespace {

TEST(SoundKernels, TransposeOfOddSizesIsExact) {
  constexpr int kRows = 37;
  constexpr int kColumns = 67;
  std::vector<float> in(kRows * kColumns);
  std::iota(in.begin(), in.end(), 1.0f);
  for (const Stream& stream : streams_of_every_order()) {
    const DeviceBuffer<float> from = to_device(in, stream);
    const DeviceBuffer<float> to(in.size());
    sound::transpose(from.span(), to.span(), kRows, kColumns, stream);
    const std::vector<float> out = to_host(to, stream);
    for (int i = 0; i < kRows; ++i)
      for (int j = 0; j < kColumns; ++j) ASSERT_EQ(out[j * kRows + i], in[i * kColumns + j]) << i << ' ' << j;
  }
}

template <typename T>
class RowKernels : public testing::Test {};
using StorageTypes = testing::Types<float, BFloat16>;
TYPED_TEST_SUITE(RowKernels, StorageTypes);

TYPED_TEST(RowKernels, LayerNormMatchesDoubleInEveryOrder) {
  constexpr int kRows = 3;
  constexpr int kColumns = 1544;  // not a multiple of the block's 128 threads times 8
  std::vector<TypeParam> x(kRows * kColumns);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = from_float<TypeParam>(5.0f + std::sin(0.37f * static_cast<float>(i)));

  std::vector<TypeParam> first;
  for (const Stream& stream : streams_of_every_order()) {
    const DeviceBuffer<TypeParam> input = to_device(x, stream);
    const DeviceBuffer<TypeParam> output(x.size());
    sound::layer_norm<TypeParam>(input.span(), output.span(), kRows, kColumns, stream);
    const std::vector<TypeParam> y = to_host(output, stream);
    if (first.empty()) first = y;
    EXPECT_EQ(std::memcmp(first.data(), y.data(), y.size() * sizeof(TypeParam)), 0);
  }

  for (int row = 0; row < kRows; ++row) {
    double mean = 0;
    double variance = 0;
    for (int j = 0; j < kColumns; ++j)
      mean += static_cast<double>(to_float(x[row * kColumns + j])) / kColumns;
    for (int j = 0; j < kColumns; ++j)
      variance += std::pow(static_cast<double>(to_float(x[row * kColumns + j])) - mean, 2) / kColumns;
    for (int j = 0; j < kColumns; ++j) {
      const double want =
          (static_cast<double>(to_float(x[row * kColumns + j])) - mean) / std::sqrt(variance + 1e-5);
      // |y| <= 1.5. The mean of values near 6 is off by a few float roundoffs of 6 (2^-24 * 6 * 16 = 6e-6),
      // times rstd = 1.4; storage in bf16 adds half an ulp, 1.5 * 2^-8.
      const double bound = sizeof(TypeParam) == 2 ? 1.5 * std::exp2(-8) + 1e-5 : 1e-5;
      ASSERT_NEAR(to_float(first[row * kColumns + j]), want, bound) << row << ' ' << j;
    }
  }
}

TYPED_TEST(RowKernels, DocumentedRowMeanIsExact) {
  constexpr int kColumns = 8 * 300;
  std::vector<TypeParam> x(2 * kColumns);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = from_float<TypeParam>(static_cast<float>(i % 16 + (i >= kColumns ? 100 : 0)));
  for (const Stream& stream : streams_of_every_order()) {
    const DeviceBuffer<TypeParam> input = to_device(x, stream);
    const DeviceBuffer<float> mean(2);
    sound::row_mean<TypeParam>(input.span(), mean.span(), kColumns, stream);
    // Integers below 2^24: the sums and these quotients are exact.
    EXPECT_EQ(to_host(mean, stream), (std::vector<float>{7.5f, 107.5f}));
  }
}

TEST(SoundKernels, HistogramCountsEveryValueOnce) {
  std::vector<int> values(1000);
  std::vector<int> want(64, 7);  // what is there already is added to
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<int>(i * i % 61);
    ++want[values[i]];
  }
  for (const Stream& stream : streams_of_every_order()) {
    const DeviceBuffer<int> device_values = to_device(values, stream);
    const DeviceBuffer<int> counts = to_device(std::vector<int>(64, 7), stream);
    sound::histogram(device_values.span(), counts.span(), stream);
    EXPECT_EQ(to_host(counts, stream), want);
  }
}

TEST(SoundKernels, LastBlockSeesAllParts) {
  std::vector<float> x(64 * 9 - 5);
  std::iota(x.begin(), x.end(), 1.0f);  // sums of integers below 2^24: exact in float
  const float want = std::accumulate(x.begin(), x.end(), 0.0f);
  for (const Stream& stream : streams_of_every_order()) {
    const DeviceBuffer<float> device_x = to_device(x, stream);
    const DeviceBuffer<float> parts(9);
    const DeviceBuffer<unsigned> finished = to_device(std::vector<unsigned>{0}, stream);
    const DeviceBuffer<float> sum(1);
    sound::grid_sum(device_x.span(), parts.span(), finished.span(), sum.span(), stream);
    EXPECT_EQ(to_host(sum, stream)[0], want);
  }
}

TEST(SoundKernels, WarpScan) {
  std::vector<int> in(32);
  std::iota(in.begin(), in.end(), 1);
  std::vector<int> want(32);
  std::partial_sum(in.begin(), in.end(), want.rbegin());
  for (const Stream& stream : streams_of_every_order()) {
    const DeviceBuffer<int> device_in = to_device(in, stream);
    const DeviceBuffer<int> out(32);
    sound::warp_scan_reversed(device_in.span(), out.span(), stream);
    EXPECT_EQ(to_host(out, stream), want);
  }
}

}  // namespace
}  // namespace ddpm
