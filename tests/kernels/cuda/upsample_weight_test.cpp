// The folded filter of a convolution after upsampling: the reference convolution with this filter equals the
// reference convolution of the upsampled image, in all three directions.
#include "kernels/cuda/kernels.h"
#include "kernels/reference/reference.h"
#include "tests/kernels/cuda/kernel_test.h"

namespace ddpm {
namespace {

using reference::random_values;

// A single channel; less than a tile; a tile and a part of one with different numbers of inputs and outputs.
const std::vector<UpsampleConv2dShape> kShapes = {
    {.n = 1, .h = 1, .w = 1, .c = 1, .k = 1},
    {.n = 2, .h = 2, .w = 3, .c = 5, .k = 3},
    {.n = 1, .h = 3, .w = 2, .c = 40, .k = 32},
};

template <typename T>
class UpsampleWeight : public testing::Test {};
TYPED_TEST_SUITE(UpsampleWeight, StorageTypes);

int64_t weight_elements(const UpsampleConv2dShape& s) { return s.upsampled().weight_elements(); }
int64_t folded_elements(const UpsampleConv2dShape& s) { return s.folded().weight_elements(); }
int64_t x_elements(const UpsampleConv2dShape& s) { return s.folded().y_elements(); }
int64_t y_elements(const UpsampleConv2dShape& s) { return s.folded().x_elements(); }

template <typename T>
std::vector<double> fold(const UpsampleConv2dShape& s, const std::vector<T>& weight) {
  return same_in_every_order([&](StreamView stream) {
    const Guarded<T> from(weight, stream), to(folded_elements(s), stream);
    cuda::fold_upsample_weight<T>(s.k, s.c, from.data(), to.data(), stream);
    return widened(to.values(stream));
  });
}

TYPED_TEST(UpsampleWeight, DataGradientEqualsUpsampleConvolution) {
  using T = TypeParam;
  for (const UpsampleConv2dShape& s : kShapes) {
    const auto weight = rounded<T>(random_values(weight_elements(s), 1));
    const auto x = random_values(x_elements(s), 2);
    std::vector<double> y(y_elements(s)), expected(y_elements(s));
    const std::vector<double> folded = fold(s, weight);
    reference::conv2d_backward_data<double>(s.folded(), {x.data(), folded.data(), nullptr, y.data()});
    reference::upsample_conv2d<double>(s,
                                       {x.data(), widened(weight).data(), nullptr, nullptr, expected.data()});
    // Each of 4 C terms has a filter element below 4, rounded once after three additions in float.
    const double bound = 4.0 * s.c * 4 * (unit_roundoff<T>() + 3 * 0x1p-24);
    expect_within("forward", y, expected, [&](size_t) { return bound; });
  }
}

TYPED_TEST(UpsampleWeight, ForwardEqualsDataGradientOfUpsampleConvolution) {
  using T = TypeParam;
  for (const UpsampleConv2dShape& s : kShapes) {
    const auto weight = rounded<T>(random_values(weight_elements(s), 1));
    const auto dy = random_values(y_elements(s), 2);
    std::vector<double> dx(x_elements(s)), expected(x_elements(s));
    const std::vector<double> folded = fold(s, weight);
    reference::conv2d<double>(s.folded(), {dy.data(), folded.data(), nullptr, nullptr, dx.data()});
    reference::upsample_conv2d_backward_data<double>(
        s, {dy.data(), widened(weight).data(), nullptr, expected.data()});
    // As above, with 16 K terms.
    const double bound = 16.0 * s.k * 4 * (unit_roundoff<T>() + 3 * 0x1p-24);
    expect_within("data gradient", dx, expected, [&](size_t) { return bound; });
  }
}

TYPED_TEST(UpsampleWeight, GradientUnfoldsAndAccumulates) {
  using T = TypeParam;
  for (const UpsampleConv2dShape& s : kShapes) {
    const auto x = random_values(x_elements(s), 1), dy = random_values(y_elements(s), 2);
    std::vector<double> exact(folded_elements(s));
    reference::conv2d_backward_weight<double>(s.folded(), {dy.data(), x.data(), exact.data(), nullptr});
    const std::vector<T> dfolded = rounded<T>(exact);
    const auto before = random_values<float>(weight_elements(s), 3);
    const auto dweight = same_in_every_order([&](StreamView stream) {
      const Guarded<T> from(dfolded, stream);
      const Guarded<float> to(before, stream);
      cuda::unfold_upsample_gradient<T>(s.k, s.c, from.data(), to.data(), stream);
      return widened(to.values(stream));
    });
    std::vector<double> expected = widened(before);
    reference::upsample_conv2d_backward_weight<double>(s, {x.data(), dy.data(), expected.data(), nullptr});
    // Four elements of dfolded, each a sum of at most N H W products below 1 rounded to T,
    // and four additions.
    const double largest = 4.0 * s.n * s.h * s.w;
    const double bound = largest * unit_roundoff<T>() + (largest + 1) * 4 * 0x1p-24;
    expect_within("weight gradient", dweight, expected, [&](size_t) { return bound; });
  }
}

}  // namespace
}  // namespace ddpm
