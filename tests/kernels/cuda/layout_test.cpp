// Converting between NCHW and NHWC moves every element and changes none.
#include "kernels/cuda/kernels.h"
#include "tests/kernels/cuda/kernel_test.h"

namespace ddpm {
namespace {

template <typename T>
class Layout : public testing::Test {};
TYPED_TEST_SUITE(Layout, StorageTypes);

TYPED_TEST(Layout, RoundTrips) {
  using T = TypeParam;
  struct Shape {
    int n, c, h, w;
  };
  // Three channels, more than a tile in both dimensions, and a single pixel.
  for (const auto& [n, c, h, w] :
       {Shape{2, 3, 5, 7}, Shape{1, 40, 3, 11}, Shape{3, 33, 8, 8}, Shape{2, 65, 1, 1}}) {
    const int64_t count = int64_t{n} * c * h * w;
    const auto nchw = rounded<T>(reference::random_values(count, 1));
    std::vector<T> nhwc(nchw.size());
    for (int i = 0; i < n; ++i)
      for (int k = 0; k < c; ++k)
        for (int p = 0; p < h * w; ++p) nhwc[(i * h * w + p) * c + k] = nchw[(i * c + k) * h * w + p];
    const auto there = same_in_every_order([&](StreamView stream) {
      const Guarded<T> from(nchw, stream), to(count, stream), back(count, stream);
      cuda::nchw_to_nhwc<T>(n, c, h, w, from.data(), to.data(), stream);
      cuda::nhwc_to_nchw<T>(n, c, h, w, to.data(), back.data(), stream);
      EXPECT_EQ(widened(back.values(stream)), widened(nchw));
      return widened(to.values(stream));
    });
    EXPECT_EQ(there, widened(nhwc));
  }
}

}  // namespace
}  // namespace ddpm
