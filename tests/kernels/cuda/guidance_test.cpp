// Classifier-free guidance against the reference in double.
#include "kernels/cuda/kernels.h"
#include "kernels/reference/reference.h"
#include "tests/kernels/cuda/kernel_test.h"

namespace ddpm {
namespace {

// Whole and fractional numbers of vectors; more than a block; a learned variance.
const std::vector<GuidanceParams> kShapes = {
    {.n = 2, .pixels = 16, .scale = 3},
    {.n = 1, .pixels = 5, .scale = 7.5},
    {.n = 3, .pixels = 300, .scale = 0.5},
    {.n = 2, .pixels = 12, .channels = 3, .output_channels = 6, .scale = 2}};

template <typename T>
class Guidance : public testing::Test {};
TYPED_TEST_SUITE(Guidance, StorageTypes);

TYPED_TEST(Guidance, MatchesReference) {
  using T = TypeParam;
  for (const GuidanceParams& s : kShapes) {
    const auto outputs = rounded<T>(reference::random_values(2 * s.elements(), 1));
    const auto y = same_in_every_order([&](StreamView stream) {
      const Guarded<T> from(outputs, stream), to(s.elements(), stream);
      cuda::guidance<T>(s, {from.data(), to.data()}, stream);
      return widened(to.values(stream));
    });
    std::vector<double> expected(y.size());
    reference::guidance<double>(s, {widened(outputs).data(), expected.data()});
    // Values below 1 + 2 scale: difference, product and sum in float, then storage.
    expect_within("guidance", y, expected,
                  [&](size_t) { return (1 + 2 * s.scale) * (3 * 0x1p-24 + unit_roundoff<T>()); });
  }
}

}  // namespace
}  // namespace ddpm
