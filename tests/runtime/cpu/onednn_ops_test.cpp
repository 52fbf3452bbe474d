// Convolutions and attention through oneDNN against plain loops in double, on the same rounded inputs.
#include "runtime/cpu/onednn_ops.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <omp.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "kernels/reference/reference.h"
#include "tests/kernels/reference/tensors.h"

namespace ddpm {
namespace {

using reference::data_or_null;
using reference::Output;
using reference::random_values;
using reference::to_double;

// Half a unit in the last place of 1: the largest rounding error of one operation.
constexpr double kUnit = 0x1p-24;

std::vector<double> magnitudes(std::vector<double> values) {
  for (double& value : values) value = std::abs(value);
  return values;
}

// A sum of `terms` products in float, in any order, is off by at most terms * unit * the sum of the products'
// magnitudes (Higham 2002, section 3.1); two more terms cover the second-order error.
void expect_sums(const std::vector<float>& actual, const std::vector<double>& exact,
                 const std::vector<double>& of_magnitudes, int64_t terms) {
  ASSERT_FALSE(exact.empty());
  ASSERT_EQ(actual.size(), exact.size());
  for (size_t i = 0; i < exact.size(); ++i)
    ASSERT_NEAR(actual[i], exact[i], double(terms + 2) * kUnit * of_magnitudes[i]) << "element " << i;
}

// Compares a computation in float through oneDNN with plain loops in double on the values and
// on their magnitudes.
template <typename Products, typename Loops>
void compare(int64_t terms, const std::vector<std::vector<float>>& inputs, const Products& products,
             const Loops& loops) {
  std::vector<std::vector<double>> values, absolute;
  for (const auto& input : inputs) {
    values.push_back(to_double(input));
    absolute.push_back(magnitudes(values.back()));
  }
  expect_sums(products(inputs), loops(values), loops(absolute), terms);
}

template <typename T>
using Tensors = std::vector<std::vector<T>>;

// ---- convolutions ----

std::string describe(const Conv2dShape& s) {
  return fmt::format("n{}_h{}_w{}_c{}_k{}_filter{}_stride{}_pad{}{}_channels{}from{}", s.n, s.h, s.w, s.c,
                     s.k, s.filter, s.stride, s.pad_before, s.pad_after, s.weight_channels,
                     s.weight_channel_begin);
}

std::vector<Conv2dShape> conv2d_shapes() {
  return {
      {.n = 2, .h = 8, .w = 8, .c = 16, .k = 16, .weight_channels = 16},
      {.n = 1, .h = 1, .w = 1, .c = 1, .k = 1, .weight_channels = 1},
      {.n = 3, .h = 5, .w = 7, .c = 3, .k = 10, .weight_channels = 3},
      {.n = 1, .h = 9, .w = 4, .c = 1, .k = 2, .weight_channels = 1},
      {.n = 2, .h = 3, .w = 5, .c = 40, .k = 1, .weight_channels = 40},
      {.n = 2, .h = 8, .w = 6, .c = 6, .k = 6, .stride = 2, .weight_channels = 6},
      {.n = 1, .h = 7, .w = 5, .c = 4, .k = 6, .stride = 2, .weight_channels = 4},
      {.n = 2, .h = 8, .w = 6, .c = 6, .k = 6, .stride = 2, .pad_before = 0, .weight_channels = 6},
      {.n = 1, .h = 7, .w = 5, .c = 33, .k = 17, .stride = 2, .pad_before = 0, .weight_channels = 33},
      {.n = 2,
       .h = 4,
       .w = 6,
       .c = 24,
       .k = 8,
       .filter = 1,
       .pad_before = 0,
       .pad_after = 0,
       .weight_channels = 24},
      {.n = 2,
       .h = 4,
       .w = 3,
       .c = 5,
       .k = 8,
       .filter = 1,
       .pad_before = 0,
       .pad_after = 0,
       .weight_channels = 12,
       .weight_channel_begin = 7},
      {.n = 1,
       .h = 4,
       .w = 3,
       .c = 8,
       .k = 16,
       .filter = 1,
       .pad_before = 0,
       .pad_after = 0,
       .weight_channels = 24},
      {.n = 2, .h = 5, .w = 5, .c = 3, .k = 4, .weight_channels = 9, .weight_channel_begin = 4},
  };
}

enum class Residual { kNone, kApart, kInPlace };

class OneDnnConv2d : public ::testing::TestWithParam<Conv2dShape> {
 protected:
  const Conv2dShape s = GetParam();
  OneDnnOps onednn;
  const std::vector<float> x = random_values<float>(s.x_elements(), 1),
                           weight = random_values<float>(s.weight_elements(), 2),
                           bias = random_values<float>(s.k, 3), dy = random_values<float>(s.y_elements(), 4);
};
INSTANTIATE_TEST_SUITE_P(Shapes, OneDnnConv2d, ::testing::ValuesIn(conv2d_shapes()),
                         [](const auto& instance) { return describe(instance.param); });

TEST_P(OneDnnConv2d, ForwardWithEveryBiasAndResidual) {
  const std::vector<float> addend = random_values<float>(s.y_elements(), 5);
  for (const bool with_bias : {false, true})
    for (const Residual residual : {Residual::kNone, Residual::kApart, Residual::kInPlace}) {
      SCOPED_TRACE(fmt::format("bias {}, residual {}", with_bias, int(residual)));
      const auto b = with_bias ? bias : std::vector<float>();
      const auto r = residual == Residual::kNone ? std::vector<float>() : addend;
      compare(
          s.filter * s.filter * s.c + 2, {x, weight, b, r},
          [&](const Tensors<float>& in) {
            Output<float> y =
                residual == Residual::kInPlace ? Output<float>(in[3]) : Output<float>(s.y_elements());
            onednn.conv2d(s, {in[0].data(), in[1].data(), data_or_null(in[2]),
                              residual == Residual::kInPlace ? y.data() : data_or_null(in[3]), y.data()});
            return y.values();
          },
          [&](const Tensors<double>& in) {
            std::vector<double> y(size_t(s.y_elements()));
            reference::conv2d<double>(
                s, {in[0].data(), in[1].data(), data_or_null(in[2]), data_or_null(in[3]), y.data()});
            return y;
          });
    }
}

TEST_P(OneDnnConv2d, BackwardDataWithEveryResidual) {
  const std::vector<float> addend = random_values<float>(s.x_elements(), 5);
  for (const Residual residual : {Residual::kNone, Residual::kApart, Residual::kInPlace}) {
    SCOPED_TRACE(fmt::format("residual {}", int(residual)));
    const auto r = residual == Residual::kNone ? std::vector<float>() : addend;
    compare(
        s.filter * s.filter * s.k + 1, {dy, weight, r},
        [&](const Tensors<float>& in) {
          Output<float> dx =
              residual == Residual::kInPlace ? Output<float>(in[2]) : Output<float>(s.x_elements());
          onednn.conv2d_backward_data(
              s, {in[0].data(), in[1].data(),
                  residual == Residual::kInPlace ? dx.data() : data_or_null(in[2]), dx.data()});
          return dx.values();
        },
        [&](const Tensors<double>& in) {
          std::vector<double> dx(size_t(s.x_elements()));
          reference::conv2d_backward_data<double>(
              s, {in[0].data(), in[1].data(), data_or_null(in[2]), dx.data()});
          return dx;
        });
  }
}

TEST_P(OneDnnConv2d, BackwardWeightAccumulates) {
  const std::vector<float> before = random_values<float>(s.weight_elements(), 6),
                           before_bias = random_values<float>(s.k, 7);
  for (const bool with_bias : {false, true}) {
    SCOPED_TRACE(fmt::format("bias {}", with_bias));
    const auto both = [&](const auto& in, auto& dweight, auto& dbias, auto& also, const auto& run) {
      run({in[0].data(), in[1].data(), dweight.data(), with_bias ? dbias.data() : nullptr,
           with_bias ? also.data() : nullptr});
    };
    compare(
        int64_t{s.n} * s.p() * s.q() + 1, {x, dy, before, before_bias},
        [&](const Tensors<float>& in) {
          Output<float> dweight(in[2]), dbias(in[3]), also(in[3]);
          both(in, dweight, dbias, also,
               [&](const Conv2dBackwardWeightArgs<float>& args) { onednn.conv2d_backward_weight(s, args); });
          std::vector<float> all = dweight.values();
          for (const std::vector<float>& rest : {dbias.values(), also.values()})
            all.insert(all.end(), rest.begin(), rest.end());
          return all;
        },
        [&](const Tensors<double>& in) {
          std::vector<double> all = in[2], dbias = in[3], also = in[3];
          both(in, all, dbias, also, [&](const Conv2dBackwardWeightArgs<double>& args) {
            reference::conv2d_backward_weight<double>(s, args);
          });
          for (const std::vector<double>& rest : {dbias, also})
            all.insert(all.end(), rest.begin(), rest.end());
          return all;
        });
  }
}

// A cached primitive must not be used for another shape, and scratch memory grown for one shape must still
// work for the others.
TEST(OneDnnOps, AlternatingShapesMatchFreshPrimitives) {
  OneDnnOps shared;
  for (int round = 0; round < 2; ++round)
    for (const Conv2dShape& s : conv2d_shapes()) {
      const auto x = random_values<float>(s.x_elements(), 1),
                 weight = random_values<float>(s.weight_elements(), 2);
      std::vector<float> alone(size_t(s.y_elements())), in_turns(alone.size());
      OneDnnOps fresh;
      fresh.conv2d(s, {x.data(), weight.data(), nullptr, nullptr, alone.data()});
      shared.conv2d(s, {x.data(), weight.data(), nullptr, nullptr, in_turns.data()});
      EXPECT_EQ(alone, in_turns) << describe(s);
    }
}

// A generated image must not depend on the batch it is drawn in.
TEST_P(OneDnnConv2d, ImageHasTheSameBitsInEveryBatch) {
  std::vector<float> together(size_t(s.y_elements())), alone(together.size());
  onednn.conv2d(s, {x.data(), weight.data(), bias.data(), nullptr, together.data()});
  Conv2dShape one = s;
  one.n = 1;
  for (int64_t i = 0; i < s.n; ++i)
    onednn.conv2d(one, {x.data() + i * one.x_elements(), weight.data(), bias.data(), nullptr,
                        alone.data() + i * one.y_elements()});
  EXPECT_EQ(together, alone);
}

// oneDNN splits the channels of small, deep images depending on the batch and the number of threads: with
// AVX-512, version 2.6 (first shape) and 3.7 (second shape) give other bits for one image than for nine
// on four threads.
TEST(OneDnnOps, ImageHasTheSameBitsInEveryBatchOnManyThreads) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "ThreadSanitizer does not understand the GNU OpenMP barriers that oneDNN uses";
#endif
  const int threads_before = omp_get_max_threads();
  for (const Conv2dShape& s :
       {Conv2dShape{.n = 9, .h = 4, .w = 4, .c = 256, .k = 64, .weight_channels = 256},
        Conv2dShape{.n = 9, .h = 8, .w = 8, .c = 384, .k = 64, .stride = 2, .weight_channels = 384}})
    for (const int threads : {1, 3, 4, 8}) {
      omp_set_num_threads(threads);
      OneDnnOps onednn;
      const auto x = random_values<float>(s.x_elements(), 1),
                 weight = random_values<float>(s.weight_elements(), 2);
      std::vector<float> together(size_t(s.y_elements()));
      onednn.conv2d(s, {x.data(), weight.data(), nullptr, nullptr, together.data()});
      for (const int batch : {1, 2, 4}) {
        Conv2dShape part = s;
        part.n = batch;
        std::vector<float> apart(size_t(part.y_elements()));
        onednn.conv2d(part, {x.data(), weight.data(), nullptr, nullptr, apart.data()});
        EXPECT_TRUE(std::equal(apart.begin(), apart.end(), together.begin()))
            << describe(s) << ", " << batch << " of nine images on " << threads << " threads";
      }
    }
  omp_set_num_threads(threads_before);
}

// ---- upsampling ----

class OneDnnUpsample : public ::testing::TestWithParam<UpsampleConv2dShape> {
 protected:
  const UpsampleConv2dShape s = GetParam();
  const Conv2dShape full = s.upsampled();
  const int64_t x_elements = int64_t{s.n} * s.h * s.w * s.c;
  OneDnnOps onednn;
  const std::vector<float> x = random_values<float>(x_elements, 1),
                           weight = random_values<float>(full.weight_elements(), 2),
                           bias = random_values<float>(s.k, 3),
                           dy = random_values<float>(full.y_elements(), 4);
};
INSTANTIATE_TEST_SUITE_P(Shapes, OneDnnUpsample,
                         ::testing::Values(UpsampleConv2dShape{.n = 2, .h = 4, .w = 4, .c = 8, .k = 8},
                                           UpsampleConv2dShape{.n = 1, .h = 1, .w = 3, .c = 1, .k = 5},
                                           UpsampleConv2dShape{.n = 3, .h = 5, .w = 2, .c = 7, .k = 1}));

TEST_P(OneDnnUpsample, Forward) {
  compare(
      9 * s.c + 1, {x, weight, bias},
      [&](const Tensors<float>& in) {
        Output<float> y(full.y_elements());
        onednn.upsample_conv2d(s, {in[0].data(), in[1].data(), in[2].data(), nullptr, y.data()});
        return y.values();
      },
      [&](const Tensors<double>& in) {
        std::vector<double> y(size_t(full.y_elements()));
        reference::upsample_conv2d<double>(s, {in[0].data(), in[1].data(), in[2].data(), nullptr, y.data()});
        return y;
      });
}

TEST_P(OneDnnUpsample, BackwardDataWithEveryResidual) {
  const std::vector<float> addend = random_values<float>(x_elements, 5);
  for (const Residual residual : {Residual::kNone, Residual::kApart, Residual::kInPlace}) {
    SCOPED_TRACE(fmt::format("residual {}", int(residual)));
    const auto r = residual == Residual::kNone ? std::vector<float>() : addend;
    compare(
        4 * 9 * s.k + 1, {dy, weight, r},
        [&](const Tensors<float>& in) {
          Output<float> dx =
              residual == Residual::kInPlace ? Output<float>(in[2]) : Output<float>(x_elements);
          onednn.upsample_conv2d_backward_data(
              s, {in[0].data(), in[1].data(),
                  residual == Residual::kInPlace ? dx.data() : data_or_null(in[2]), dx.data()});
          return dx.values();
        },
        [&](const Tensors<double>& in) {
          std::vector<double> dx(static_cast<size_t>(x_elements));
          reference::upsample_conv2d_backward_data<double>(
              s, {in[0].data(), in[1].data(), data_or_null(in[2]), dx.data()});
          return dx;
        });
  }
}

TEST_P(OneDnnUpsample, BackwardWeightAccumulates) {
  const std::vector<float> before = random_values<float>(full.weight_elements(), 6);
  compare(
      int64_t{s.n} * full.p() * full.q() + 1, {x, dy, before},
      [&](const Tensors<float>& in) {
        Output<float> dweight(in[2]), dbias(bias);
        onednn.upsample_conv2d_backward_weight(s, {in[0].data(), in[1].data(), dweight.data(), dbias.data()});
        return dweight.values();
      },
      [&](const Tensors<double>& in) {
        std::vector<double> dweight = in[2];
        reference::upsample_conv2d_backward_weight<double>(
            s, {in[0].data(), in[1].data(), dweight.data(), nullptr});
        return dweight;
      });
}

// ---- attention ----

struct AttentionResult {
  std::vector<double> y, dqkv;
};

template <typename T, typename Forward, typename Backward>
AttentionResult run_attention(const AttentionShape& s, const std::vector<T>& qkv, const std::vector<T>& dy,
                              const Forward& forward, const Backward& backward) {
  Output<T> probabilities(s.score_elements()), y(s.y_elements()), dscores(s.score_elements()),
      dqkv(3 * s.y_elements());
  forward(s, AttentionArgs<T>{qkv.data(), probabilities.data(), y.data()});
  backward(
      s, AttentionBackwardArgs<T>{dy.data(), qkv.data(), probabilities.data(), dscores.data(), dqkv.data()});
  return {to_double(y.values()), to_double(dqkv.values())};
}

double worst(const std::vector<double>& actual, const std::vector<double>& expected) {
  EXPECT_FALSE(expected.empty());
  EXPECT_EQ(actual.size(), expected.size());
  double most = 0;
  for (size_t i = 0; i < expected.size(); ++i) most = std::max(most, std::abs(actual[i] - expected[i]));
  return most;
}

class OneDnnAttention : public ::testing::TestWithParam<AttentionShape> {};
INSTANTIATE_TEST_SUITE_P(Shapes, OneDnnAttention,
                         ::testing::Values(AttentionShape{.n = 2, .length = 16, .heads = 1, .head_dim = 32},
                                           AttentionShape{.n = 2, .length = 9, .heads = 3, .head_dim = 5},
                                           AttentionShape{.n = 1, .length = 1, .heads = 2, .head_dim = 1},
                                           AttentionShape{.n = 3, .length = 64, .heads = 4, .head_dim = 8}));

TEST_P(OneDnnAttention, IsAsAccurateAsThePlainLoops) {
  const AttentionShape s = GetParam();
  const std::vector<float> qkv = random_values<float>(3 * s.y_elements(), 1),
                           dy = random_values<float>(s.y_elements(), 2);
  OneDnnOps onednn;
  const AttentionResult exact = run_attention(s, to_double(qkv), to_double(dy), reference::attention<double>,
                                              reference::attention_backward<double>);
  const AttentionResult plain =
      run_attention(s, qkv, dy, reference::attention<float>, reference::attention_backward<float>);
  const AttentionResult fast = run_attention(
      s, qkv, dy, [&](const auto& shape, const auto& args) { onednn.attention(shape, args); },
      [&](const auto& shape, const auto& args) { onednn.attention_backward(shape, args); });
  // Another order of the same sums: at most a few times the plain loops' error, which may happen to be zero.
  EXPECT_LE(worst(fast.y, exact.y), 4 * worst(plain.y, exact.y) + 16 * kUnit);
  EXPECT_LE(worst(fast.dqkv, exact.dqkv), 4 * worst(plain.dqkv, exact.dqkv) + 16 * kUnit);
}

// A generated image must not depend on the batch it is drawn in.
TEST_P(OneDnnAttention, ImageHasTheSameBitsInEveryBatch) {
  AttentionShape s = GetParam(), one = s;
  s.n = 5;  // an odd number of images cannot be split evenly between two threads
  one.n = 1;
  const std::vector<float> qkv = random_values<float>(3 * s.y_elements(), 1);
  std::vector<float> probabilities(size_t(s.score_elements())), together(size_t(s.y_elements())),
      alone(together.size());
  OneDnnOps onednn;
  onednn.attention(s, {qkv.data(), probabilities.data(), together.data()});
  for (int64_t i = 0; i < s.n; ++i)
    onednn.attention(one, {qkv.data() + 3 * i * one.y_elements(), probabilities.data(),
                           alone.data() + i * one.y_elements()});
  EXPECT_EQ(together, alone);
}

}  // namespace
}  // namespace ddpm
