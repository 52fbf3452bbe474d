// Resampling, padding and scaling against the reference and plain indexing.
#include "kernels/cuda/kernels.h"
#include "kernels/reference/reference.h"
#include "tests/kernels/cuda/kernel_test.h"

namespace ddpm {
namespace {

using reference::random_values;

// A single pixel; odd extents; a row of more vectors than a block takes in one iteration; channels that are
// not a whole number of vectors.
const std::vector<ResampleParams> kShapes = {
    {1, 1, 1, 8}, {2, 3, 5, 24}, {1, 2, 40, 384}, {2, 3, 5, 3}, {1, 2, 3, 10}};

template <typename T>
class Resample : public testing::Test {};
TYPED_TEST_SUITE(Resample, StorageTypes);

template <typename T>
using Kernel = void (*)(const ResampleParams&, const ResampleArgs<T>&, StreamView);

// Runs with the residual (unless empty) in a separate array and in place.
template <typename T>
std::vector<double> run(Kernel<T> kernel, const ResampleParams& shape, int64_t outputs,
                        const std::vector<T>& x, const std::vector<T>& residual) {
  return same_in_every_order([&](StreamView stream) {
    const Guarded<T> from(x, stream), added(residual, stream), to(outputs, stream);
    kernel(shape, {from.data(), residual.empty() ? nullptr : added.data(), to.data()}, stream);
    if (!residual.empty()) {
      kernel(shape, {from.data(), added.data(), added.data()}, stream);
      EXPECT_EQ(widened(added.values(stream)), widened(to.values(stream)));
    }
    return widened(to.values(stream));
  });
}

TYPED_TEST(Resample, UpsamplingRepeatsEachPixelFourTimes) {
  using T = TypeParam;
  for (const ResampleParams& s : kShapes) {
    const auto x = rounded<T>(random_values(s.small_elements(), 1));
    const auto y = run<T>(cuda::upsample_nearest<T>, s, s.large_elements(), x, {});
    std::vector<double> expected(s.large_elements());
    reference::upsample_nearest<double>(s, {widened(x).data(), nullptr, expected.data()});
    EXPECT_EQ(y, expected) << s.h << 'x' << s.w << 'x' << s.c;
  }
}

TYPED_TEST(Resample, BothDirectionsScaleAndAddResidual) {
  using T = TypeParam;
  for (ResampleParams s : kShapes) {
    s.scale = 0.7;
    const auto small = rounded<T>(random_values(s.small_elements(), 1));
    const auto large = rounded<T>(random_values(s.large_elements(), 2));
    // Six operations in float on values below 5, and one rounding to storage.
    const auto bound = [](size_t) { return 5 * (6 * 0x1p-24 + unit_roundoff<T>()); };
    std::vector<double> expected(s.large_elements());
    reference::upsample_nearest<double>(s, {widened(small).data(), widened(large).data(), expected.data()});
    expect_within("upsample_nearest", run<T>(cuda::upsample_nearest<T>, s, s.large_elements(), small, large),
                  expected, bound);
    expected.resize(small.size());
    reference::sum_pool<double>(s, {widened(large).data(), widened(small).data(), expected.data()});
    expect_within("sum_pool with residual", run<T>(cuda::sum_pool<T>, s, s.small_elements(), large, small),
                  expected, bound);
    reference::sum_pool<double>(s, {widened(large).data(), nullptr, expected.data()});
    expect_within("sum_pool", run<T>(cuda::sum_pool<T>, s, s.small_elements(), large, {}), expected, bound);
  }
}

TYPED_TEST(Resample, RescaleUsesPerImageDivisor) {
  using T = TypeParam;
  for (const int64_t elements : {8, 75, 2048}) {
    const RescaleParams s{.n = 3, .elements = elements, .scale = 2, .offset = -1};
    const auto x = rounded<T>(random_values(s.n * elements, 1));
    const std::vector<float> divisor = {0.5F, 3, 7};
    const auto y = same_in_every_order([&](StreamView stream) {
      const Guarded<T> from(x, stream), to(s.n * elements, stream);
      const Guarded<float> by(divisor, stream);
      cuda::rescale<T>(s, {from.data(), by.data(), to.data()}, stream);
      cuda::rescale<T>(s, {from.data(), by.data(), from.data()}, stream);  // in place
      EXPECT_EQ(widened(from.values(stream)), widened(to.values(stream)));
      return widened(to.values(stream));
    });
    std::vector<double> expected(x.size());
    reference::rescale<double>(s, {widened(x).data(), widened(divisor).data(), expected.data()});
    // Values below 6: product, sum, quotient, storage.
    expect_within("rescale", y, expected, [](size_t) { return 6 * (3 * 0x1p-24 + unit_roundoff<T>()); });
  }
}

TYPED_TEST(Resample, OneHotRowsHaveAtMostOneOne) {
  using T = TypeParam;
  const OneHotShape s{.n = 4, .classes = 10};
  const std::vector<float> index = {0, 9, 10, 4};  // 10: no class, as for images without a label
  const auto y = same_in_every_order([&](StreamView stream) {
    const Guarded<float> labels(index, stream);
    const Guarded<T> to(s.n * s.classes, stream);
    cuda::one_hot<T>(s, {labels.data(), to.data()}, stream);
    return widened(to.values(stream));
  });
  std::vector<double> expected(y.size());
  reference::one_hot<double>(s, {widened(index).data(), expected.data()});
  EXPECT_EQ(y, expected);
}

TYPED_TEST(Resample, PadAddsZerosAndCropRemovesThem) {
  using T = TypeParam;
  for (const ResampleParams& s : kShapes) {
    const auto x = rounded<T>(random_values(s.small_elements(), 1));
    const ResampleParams padded{s.n, s.h + 1, s.w + 1, s.c};
    const auto y = same_in_every_order([&](StreamView stream) {
      const Guarded<T> from(x, stream), to(padded.small_elements(), stream), back(s.small_elements(), stream);
      cuda::pad_after<T>(s.n, s.h, s.w, s.c, from.data(), to.data(), stream);
      cuda::crop_after<T>(s.n, s.h, s.w, s.c, to.data(), back.data(), stream);
      EXPECT_EQ(widened(back.values(stream)), widened(x));
      return widened(to.values(stream));
    });
    std::vector<double> expected(padded.small_elements());
    for (int i = 0; i < s.n * s.h; ++i)
      for (int j = 0; j < s.w * s.c; ++j)
        expected[(int64_t{i / s.h} * padded.h + i % s.h) * padded.w * s.c + j] =
            to_float(x[i * s.w * s.c + j]);
    EXPECT_EQ(y, expected);
  }
}

}  // namespace
}  // namespace ddpm
