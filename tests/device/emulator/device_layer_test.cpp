// The device layer as kernels use it, run in the emulator.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <utility>

#include "tests/device/device_memory.h"
#include "tests/device/emulator/probes/kernels.h"

namespace ddpm {
namespace {

TEST(BFloat16Type, RoundTripsThroughFloat) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const BFloat16 value{static_cast<uint16_t>(bits)};
    const float wide = to_float(value);
    if (std::isnan(wide)) {
      ASSERT_EQ(to_bfloat16(wide).bits, 0x7FFF);
    } else {
      ASSERT_EQ(to_bfloat16(wide).bits, bits);
    }
  }
}

// Against double arithmetic, in which both neighbors and their midpoint are exact.
TEST(BFloat16Type, RoundsToNearestEven) {
  for (uint32_t bits = 0; bits < 0x7F7F; ++bits) {
    const double low = to_float(BFloat16{static_cast<uint16_t>(bits)});
    const double high = to_float(BFloat16{static_cast<uint16_t>(bits + 1)});
    const auto middle = static_cast<float>((low + high) / 2);
    const uint32_t even = bits % 2 == 0 ? bits : bits + 1;
    ASSERT_EQ(to_bfloat16(middle).bits, even);
    ASSERT_EQ(to_bfloat16(std::nextafter(middle, 0.0f)).bits, bits);
    ASSERT_EQ(to_bfloat16(std::nextafter(middle, std::numeric_limits<float>::infinity())).bits, bits + 1);
    ASSERT_EQ(to_bfloat16(-middle).bits, even | 0x8000);
  }
  EXPECT_EQ(to_bfloat16(std::numeric_limits<float>::max()).bits, 0x7F80) << "overflow rounds to infinity";
}

TEST(BFloat16Type, PairEqualsTwoSingles) {
  BFloat16 pair[2];
  to_bfloat16_pair(1.003f, -7.77f, pair);
  EXPECT_EQ(pair[0].bits, to_bfloat16(1.003f).bits);
  EXPECT_EQ(pair[1].bits, to_bfloat16(-7.77f).bits);
}

TEST(PackedVector, LoadsComputesAndStoresBothTypes) {
  const Stream stream;
  std::vector<float> floats(4 * 67);
  std::vector<BFloat16> halves(8 * 67);
  for (size_t i = 0; i < floats.size(); ++i) floats[i] = 0.1f * static_cast<float>(i);
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = to_bfloat16(0.1f * static_cast<float>(i));
  const DeviceBuffer<float> x = to_device(floats, stream);
  const DeviceBuffer<float> y(floats.size());
  probe::twice(x.data(), y.data(), static_cast<int>(floats.size()), stream);
  const DeviceBuffer<BFloat16> xh = to_device(halves, stream);
  const DeviceBuffer<BFloat16> yh(halves.size());
  probe::twice(xh.data(), yh.data(), static_cast<int>(halves.size()), stream);
  // Doubling is exact in both types.
  const std::vector<float> doubled = to_host(y, stream);
  const std::vector<BFloat16> doubled_halves = to_host(yh, stream);
  for (size_t i = 0; i < floats.size(); ++i) ASSERT_EQ(doubled[i], 2 * floats[i]);
  for (size_t i = 0; i < halves.size(); ++i) ASSERT_EQ(to_float(doubled_halves[i]), 2 * to_float(halves[i]));
}

class BlockReduce : public testing::TestWithParam<int> {};

TEST_P(BlockReduce, EveryThreadGetsTheSameBitsInEveryOrder) {
  const int threads = GetParam();
  std::vector<float> x(static_cast<size_t>(threads));
  for (int i = 0; i < threads; ++i)
    x[i] = std::sin(static_cast<float>(i)) * std::exp2(static_cast<float>(i % 20));
  const double sum = std::accumulate(x.begin(), x.end(), 0.0);
  const double magnitude =
      std::accumulate(x.begin(), x.end(), 0.0, [](double a, float b) { return a + std::abs(b); });
  const float maximum = *std::max_element(x.begin(), x.end());
  std::vector<float> first;
  for (const Stream& stream : streams_of_every_order()) {
    const DeviceBuffer<float> device_x = to_device(x, stream);
    const DeviceBuffer<float> out(2 * x.size());
    probe::block_reductions(device_x.data(), out.data(), threads, stream);
    const std::vector<float> results = to_host(out, stream);
    if (first.empty()) first = results;
    EXPECT_EQ(results, first);
    for (int i = 0; i < threads; ++i) {
      ASSERT_EQ(results[2 * i], results[0]);
      ASSERT_EQ(results[2 * i + 1], maximum);
    }
  }
  // Ten levels of pairwise addition, each off by at most 2^-24 of the partial sum.
  EXPECT_NEAR(first[0], sum, 10 * std::exp2(-24) * magnitude);
}

INSTANTIATE_TEST_SUITE_P(Threads, BlockReduce, testing::Values(32, 64, 96, 256, 1024));

TEST(WarpReduce, GroupsOfLanesAndPairs) {
  const Stream stream;
  std::vector<float> x(32);
  std::iota(x.begin(), x.end(), 1.0f);  // small integers: sums are exact
  const DeviceBuffer<float> device_x = to_device(x, stream);
  const DeviceBuffer<float> first(32);
  const DeviceBuffer<float> second(32);
  probe::group_sums(device_x.data(), first.data(), second.data(), stream);
  const std::vector<float> sums = to_host(first, stream);
  const std::vector<float> squares = to_host(second, stream);
  for (size_t i = 0; i < 32; ++i) {
    const auto group = x.begin() + static_cast<std::ptrdiff_t>(i / 8 * 8);
    ASSERT_EQ(sums[i], std::accumulate(group, group + 8, 0.0f));
    ASSERT_EQ(squares[i], std::inner_product(group, group + 8, group, 0.0f));
  }
}

TEST(Owners, MoveEmptiesSourceAndViewsRejectNull) {
  Stream stream;
  const StreamHandle handle = stream.view().get();
  Stream moved = std::move(stream);
  EXPECT_EQ(moved.view().get(), handle);
  EXPECT_THROW(static_cast<void>(StreamView(static_cast<StreamHandle>(nullptr))), LogicError);
  static_assert(!std::is_constructible_v<StreamView, std::nullptr_t>);
  static_assert(!std::is_constructible_v<StreamView, int>);

  DeviceBuffer<int> buffer(8);
  int* data = buffer.data();
  EXPECT_EQ(reinterpret_cast<uintptr_t>(data) % 256, 0u) << "as cudaMalloc promises";
  const DeviceBuffer<int> taken = std::move(buffer);
  EXPECT_EQ(taken.data(), data);
  EXPECT_EQ(DeviceBuffer<int>(0).data(), nullptr);
}

TEST(Owners, SpansCheckSubspanAndCopySizes) {
  const Stream stream;
  const DeviceBuffer<int> buffer = to_device(std::vector<int>{0, 1, 2, 3, 4}, stream);
  const DeviceBuffer<int> part(2);
  copy_on_device(buffer.span().subspan(3, 2), part.span(), stream);
  EXPECT_EQ(to_host(part, stream), (std::vector<int>{3, 4}));
  EXPECT_THROW(buffer.span().subspan(4, 2), LogicError);
  EXPECT_THROW(copy_on_device(buffer.span(), part.span(), stream), LogicError);
  fill_bytes(part.span(), 0, stream);
  EXPECT_EQ(to_host(part, stream), (std::vector<int>{0, 0}));
}

TEST(Launch, CeilDivCoversEverything) {
  EXPECT_EQ(ceil_div(0, 32), 0);
  EXPECT_EQ(ceil_div(1, 32), 1);
  EXPECT_EQ(ceil_div(32, 32), 1);
  EXPECT_EQ(ceil_div(33u, 32), 2);
  EXPECT_EQ(ceil_div(size_t{1} << 40, 2), int64_t{1} << 39);
}

}  // namespace
}  // namespace ddpm
