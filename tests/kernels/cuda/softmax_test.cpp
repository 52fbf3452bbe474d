// The softmax over rows against the reference in double.
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/softmax_plan.h"
#include "kernels/reference/reference.h"
#include "support/error_types.h"
#include "tests/kernels/cuda/kernel_test.h"

namespace ddpm {
namespace {

using reference::random_values;

template <typename T>
class Softmax : public testing::Test {};
TYPED_TEST_SUITE(Softmax, StorageTypes);

// Every plan in both types, full rows and ragged ones, and a last block that is not full.
const std::vector<SoftmaxParams> kShapes = {{37, 8, 1},       {7, 1, 1},      {6, 4, 0.5},   {5, 9, 1},
                                            {3, 77, 0.5},     {5, 16, 0.25},  {11, 24, 1},   {9, 64, 0.125},
                                            {3, 256, 0.0625}, {7, 264, 0.06}, {5, 520, 0.5}, {3, 1024, 0.1},
                                            {2, 2040, 0.1},   {2, 4096, 0.1}};

template <typename T>
std::vector<double> softmax(const SoftmaxParams& s, const std::vector<T>& x) {
  return same_in_every_order([&](StreamView stream) {
    const Guarded<T> from(x, stream), to(s.elements(), stream);
    cuda::softmax<T>(s, {from.data(), to.data()}, stream);
    cuda::softmax<T>(s, {from.data(), from.data()}, stream);  // in place
    EXPECT_EQ(widened(from.values(stream)), widened(to.values(stream)));
    return widened(to.values(stream));
  });
}

TYPED_TEST(Softmax, EqualValuesAreExact) {
  using T = TypeParam;
  for (const int length : {8, 16, 64, 256, 512, 1024, 4096}) {  // 1 / length is a power of two
    const SoftmaxParams s{3, length, 0.7};
    EXPECT_EQ(softmax<T>(s, rounded<T>(std::vector<double>(s.elements(), -300.0))),
              std::vector<double>(s.elements(), 1.0 / length));
  }
}

TYPED_TEST(Softmax, MatchesReference) {
  using T = TypeParam;
  for (const SoftmaxParams& s : kShapes) {
    auto values = random_values(s.elements(), 1);
    for (double& value : values)
      value = 20 * value + 1000;  // exp(1000) overflows unless the maximum is subtracted
    const auto x = rounded<T>(values);
    std::vector<double> expected(s.elements());
    reference::softmax<double>(s, {widened(x).data(), expected.data()});
    // The exponent is scale times a difference of at most 40, with a relative error of 2 roundings (the
    // product and the factor log2 e); its power of two is off by that times log 2 and 2 units; the sum by at
    // most 32 + 8 additions (32 values per thread, 8 levels), the quotient by two more. Storage rounds once.
    const double u = 0x1p-24;
    const double relative = s.scale * 40 * 2 * u + 4 * u + 40 * u + 2 * u;
    expect_within("softmax", softmax<T>(s, x), expected,
                  [&](size_t i) { return (relative + unit_roundoff<T>()) * expected[i] + 1e-38; });
  }
}

TYPED_TEST(Softmax, BackwardMatchesReference) {
  using T = TypeParam;
  for (const SoftmaxParams& s : kShapes) {
    std::vector<double> probabilities(s.elements());
    auto scores = random_values(s.elements(), 2);
    for (double& score : scores) score *= 8;
    reference::softmax<double>(s, {scores.data(), probabilities.data()});
    const auto p = rounded<T>(probabilities);
    const auto dp = rounded<T>(random_values(s.elements(), 3));
    const auto dx = same_in_every_order([&](StreamView stream) {
      const Guarded<T> from(p, stream), gradient(dp, stream), to(s.elements(), stream);
      cuda::softmax_backward<T>(s, {from.data(), gradient.data(), to.data()}, stream);
      cuda::softmax_backward<T>(s, {from.data(), gradient.data(), gradient.data()}, stream);  // in place
      EXPECT_EQ(widened(gradient.values(stream)), widened(to.values(stream)));
      return widened(to.values(stream));
    });
    std::vector<double> expected(s.elements());
    reference::softmax_backward<double>(s, {widened(p).data(), widened(dp).data(), expected.data()});
    // |dp| < 1 and the probabilities add up to about 1: the sum is below 1.1 and off by 40 additions as
    // above; then come a subtraction and two products of values below 2.1.
    const double u = 0x1p-24;
    expect_within("softmax_backward", dx, expected, [&](size_t i) {
      return s.scale * to_float(p[i]) * (1.1 * 41 * u + 2.1 * 3 * u) +
             unit_roundoff<T>() * std::abs(expected[i]) + 1e-38;
    });
  }
}

TYPED_TEST(Softmax, RejectsUnsupportedShapes) {
  using T = TypeParam;
  const Stream stream;
  const Guarded<T> x(16, stream);
  const SoftmaxArgs<T> args{x.data(), x.data()};
  EXPECT_THROW(cuda::softmax<T>({1, 0, 1}, args, stream), InputError);
  EXPECT_THROW(cuda::softmax<T>({1, 16384, 1}, args, stream), InputError);
  EXPECT_THROW(cuda::softmax<T>({1, 16, 0}, args, stream), InputError);
  EXPECT_THROW(cuda::softmax_backward<T>({1, 16384, 1}, {x.data(), x.data(), x.data()}, stream), InputError);
}

TEST(SoftmaxPlan, IsNarrowestThatFitsTheRow) {
  for (const int width : {4, 8}) {
    for (int length = 1; length <= cuda::longest_softmax_row(width); ++length) {
      const int plan = cuda::softmax_plan(length, width);
      ASSERT_GE(cuda::kSoftmaxPlan[plan].longest_row(width), length);
      if (plan > 0) {
        ASSERT_LT(cuda::kSoftmaxPlan[plan - 1].longest_row(width), length);
      }
    }
    EXPECT_GE(cuda::longest_softmax_row(width), 4096) << "attention at 64x64";
  }
}

}  // namespace
}  // namespace ddpm
