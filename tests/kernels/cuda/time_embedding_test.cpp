// The time embedding against the reference, which also computes its angles in double.
#include "kernels/cuda/kernels.h"
#include "kernels/reference/reference.h"
#include "tests/kernels/cuda/kernel_test.h"

namespace ddpm {
namespace {

template <typename T>
class TimeEmbedding : public testing::Test {};
TYPED_TEST_SUITE(TimeEmbedding, StorageTypes);

template <typename T>
void expect_reference(const TimeEmbeddingParams& s, const std::vector<float>& t,
                      const std::vector<float>& frequencies) {
  const auto y = same_in_every_order([&](StreamView stream) {
    const Guarded<float> times(t, stream), table(frequencies, stream);
    const Guarded<T> to(int64_t{s.n} * s.channels, stream);
    cuda::time_embedding<T>(s, {times.data(), frequencies.empty() ? nullptr : table.data(), to.data()},
                            stream);
    return widened(to.values(stream));
  });
  const auto wide_frequencies = widened(frequencies);
  std::vector<double> expected(y.size());
  reference::time_embedding<double>(
      s, {widened(t).data(), reference::data_or_null(wide_frequencies), expected.data()});
  // Doubles rounded to storage, through float for bf16; their own error at 1e5 radians is 1e-11.
  expect_within("time_embedding", y, expected,
                [&](size_t i) { return (unit_roundoff<T>() + 0x1p-24) * std::abs(expected[i]) + 1e-10; });
}

TYPED_TEST(TimeEmbedding, AllLayoutsMatchReference) {
  using T = TypeParam;
  const std::vector<float> t = {0, 1, 37, 499.5, 999};
  const int n = static_cast<int>(t.size());
  for (const TimeEmbeddingOrder order : {TimeEmbeddingOrder::kSinCos, TimeEmbeddingOrder::kCosSin}) {
    expect_reference<T>({.n = n, .channels = 128, .order = order}, t, {});
    expect_reference<T>({.n = n, .channels = 66, .order = order, .frequency_shift = 0}, t, {});
    expect_reference<T>({.n = n, .channels = 7, .order = order}, t, {});  // the last column is zero
  }
  const auto frequencies = rounded<float>(reference::random_values(9, 1, 16));
  expect_reference<T>({.n = n, .channels = 18}, t, frequencies);
  expect_reference<T>({.n = 2, .channels = 18, .log_time = true}, {0.002F, 80}, frequencies);
}

}  // namespace
}  // namespace ddpm
