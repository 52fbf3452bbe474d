// Lowered layers against the reference in double: every launch, pointer, leading dimension and accumulation, with the
// emulated kernels between plain loops that round once. What is left of the error is the roundings of storage, so the
// bounds count those: u is the unit roundoff of T, e that of float; all inputs are within (-1, 1). On a GPU the same
// tests run with its libraries, whose sums in float are allowed for.
#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "kernels/reference/reference.h"
#include "runtime/library/lowering.h"
#include "tests/kernels/cuda/kernel_test.h"
#include "tests/runtime/library/library_under_test.h"

namespace ddpm {
namespace {

using reference::random_values;

constexpr double kE = 0x1p-24;

template <typename T>
class LoweringTest : public testing::Test {};
TYPED_TEST_SUITE(LoweringTest, StorageTypes);

// The buffers of a program with one operation.
enum Id : BufferId { kA, kB, kC, kD, kOut, kOut2 };

// Where they are, in that order.
struct Tensors {
  const void* addresses[6];
};

struct RunOptions {
  UpsampleForm upsample = UpsampleForm::kAuto;
  Fusion fusion = Fusion::kAll;
};
constexpr Fusion kFusions[] = {Fusion::kNone, Fusion::kAll};

template <typename T, typename Op>
void run(const Op& operation, const Tensors& tensors, StreamView stream, const RunOptions& options = {}) {
  Program program;
  std::map<BufferId, void*> buffers;
  for (const char* name : {"a", "b", "c", "d", "out", "out2"}) {
    const BufferId id = program.add_buffer(name, {1}, Role::kState);
    buffers[id] = const_cast<void*>(tensors.addresses[id]);
  }
  program.add("tested", Phase::kForward, operation);
  run_lowered<T>(program, *library_under_test(options.fusion), buffers, stream, options.upsample);
}

// An input in device memory and for the oracle; null if it has no elements.
template <typename T>
struct Input {
  Input(int64_t count, uint32_t seed, StreamView stream)
      : rounded_values(rounded<T>(random_values(count, seed))),
        device(rounded_values, stream),
        values(widened(rounded_values)) {}
  const T* data() const { return rounded_values.empty() ? nullptr : device.data(); }
  const double* oracle() const { return values.empty() ? nullptr : values.data(); }

  std::vector<T> rounded_values;
  Guarded<T> device;
  std::vector<double> values;
};

// Where an operation's residual is stored.
enum class Residual { kNone, kElsewhere, kInPlace };
constexpr Residual kResiduals[] = {Residual::kNone, Residual::kElsewhere, Residual::kInPlace};

BufferId buffer_of(Residual residual) {
  return residual == Residual::kNone ? kNoBuffer : residual == Residual::kElsewhere ? kD : kOut;
}

// The buffer kOut before the operation runs.
template <typename T>
Guarded<T> output_of(Residual where, const Input<T>& residual, StreamView stream) {
  if (where == Residual::kInPlace) return Guarded<T>(residual.rounded_values, stream);
  return Guarded<T>(static_cast<int64_t>(residual.rounded_values.size()), stream);
}

// 3x3; stride 2 with the published padding; odd channels; 1x1; 1x1 with a slice of the filter.
const std::vector<Conv2dShape> kShapes = {
    {.n = 2, .h = 5, .w = 4, .c = 8, .k = 16, .weight_channels = 8},
    {.n = 1, .h = 6, .w = 6, .c = 8, .k = 8, .stride = 2, .pad_before = 0, .weight_channels = 8},
    {.n = 2, .h = 3, .w = 3, .c = 3, .k = 5, .weight_channels = 3},
    {.n = 2,
     .h = 3,
     .w = 4,
     .c = 8,
     .k = 6,
     .filter = 1,
     .pad_before = 0,
     .pad_after = 0,
     .weight_channels = 8},
    {.n = 2,
     .h = 3,
     .w = 4,
     .c = 5,
     .k = 6,
     .filter = 1,
     .pad_before = 0,
     .pad_after = 0,
     .weight_channels = 12,
     .weight_channel_begin = 7}};

// Bias and residual are added in the epilogue or before it.
template <typename T>
void expect_convolution(const Conv2dShape& s, bool with_bias, Residual where, Fusion fusion) {
  const Stream stream;
  const double u = unit_roundoff<T>();
  const Input<T> x(s.x_elements(), 1, stream), w(s.weight_elements(), 2, stream),
      residual(s.y_elements(), 3, stream), bias(with_bias ? s.k : 0, 4, stream);
  const Guarded<T> y = output_of(where, residual, stream);
  run<T>(Conv2d{s, kA, kB, with_bias ? BufferId{kC} : kNoBuffer, buffer_of(where), kOut},
         {{x.data(), w.data(), bias.data(), residual.data(), y.data()}}, stream, {.fusion = fusion});
  std::vector<double> expected(s.y_elements());
  reference::conv2d<double>(s, {x.oracle(), w.oracle(), bias.oracle(),
                                where == Residual::kNone ? nullptr : residual.oracle(), expected.data()});
  // bias + residual, below 2, is rounded, and so is the sum with the products, each below 1.
  const double terms = s.filter * s.filter * s.c;
  expect_within("conv2d", widened(y.values(stream)), expected,
                [&](size_t) { return 2 * u + (terms + 2) * u + summation_error(terms); });
}

TYPED_TEST(LoweringTest, ConvolutionAddsBiasAndResidual) {
  for (const Conv2dShape& s : kShapes)
    for (const bool with_bias : {false, true})
      for (const Residual where : kResiduals)
        for (const Fusion fusion : kFusions) expect_convolution<TypeParam>(s, with_bias, where, fusion);
}

TYPED_TEST(LoweringTest, ConvolutionBackwardDataAddsResidual) {
  using T = TypeParam;
  const Stream stream;
  for (const Conv2dShape& s : kShapes) {
    for (const Residual where : kResiduals) {
      const Input<T> dy(s.y_elements(), 1, stream), w(s.weight_elements(), 2, stream),
          residual(s.x_elements(), 3, stream);
      const Guarded<T> dx = output_of(where, residual, stream);
      run<T>(Conv2dBackwardData{s, kA, kB, buffer_of(where), kOut},
             {{dy.data(), w.data(), nullptr, residual.data(), dx.data()}}, stream);
      std::vector<double> expected(s.x_elements());
      reference::conv2d_backward_data<double>(
          s,
          {dy.oracle(), w.oracle(), where == Residual::kNone ? nullptr : residual.oracle(), expected.data()});
      // The residual is copied exactly; the sum is rounded once.
      const double terms = s.filter * s.filter * s.k;
      expect_within("conv2d_backward_data", widened(dx.values(stream)), expected,
                    [&](size_t) { return (terms + 1) * unit_roundoff<T>() + summation_error(terms); });
    }
  }
}

TYPED_TEST(LoweringTest, ConvolutionBackwardWeightAccumulatesInFloat) {
  using T = TypeParam;
  const Stream stream;
  for (const Conv2dShape& s : kShapes) {
    for (const bool with_bias : {false, true}) {
      const Input<T> x(s.x_elements(), 1, stream), dy(s.y_elements(), 2, stream);
      const Input<float> before(s.weight_elements(), 3, stream), bias_before(s.k, 4, stream);
      const Guarded<float> dweight(before.rounded_values, stream), dbias(bias_before.rounded_values, stream);
      const Guarded<float> also_dbias(bias_before.rounded_values, stream);
      const BufferId bias = with_bias ? BufferId{kOut2} : kNoBuffer, also = with_bias ? kD : kNoBuffer;
      run<T>(Conv2dBackwardWeight{s, kA, kB, kOut, bias, also},
             {{x.data(), dy.data(), nullptr, also_dbias.data(), dweight.data(), dbias.data()}}, stream);
      std::vector<double> expected = before.values, expected_bias = bias_before.values;
      reference::conv2d_backward_weight<double>(
          s, {x.oracle(), dy.oracle(), expected.data(), with_bias ? expected_bias.data() : nullptr});
      // A GEMM accumulates into the float gradient, so there is no rounding to T.
      const double terms = s.n * s.p() * s.q();
      const double bound =
          (s.filter == 1 ? 0 : terms * unit_roundoff<T>()) + (terms + 1) * kE + summation_error(terms);
      expect_within("dweight", widened(dweight.values(stream)), expected, [&](size_t) { return bound; });
      expect_within("dbias", widened(dbias.values(stream)), expected_bias,
                    [&](size_t) { return terms * (terms + 1) * kE; });
      EXPECT_EQ(also_dbias.values(stream), dbias.values(stream));
    }
  }
}

TYPED_TEST(LoweringTest, RefusesASliceOfALargerFilter) {
  using T = TypeParam;
  const Stream stream;
  const Conv2dShape shape{.n = 1, .h = 4, .w = 4, .c = 4, .k = 4, .weight_channels = 8};
  EXPECT_THROW(run<T>(Conv2d{shape, kA, kB, kNoBuffer, kNoBuffer, kOut}, {}, stream), InputError);
}

TYPED_TEST(LoweringTest, UpsampleConvolutionInBothForms) {
  using T = TypeParam;
  const Stream stream;
  const double u = unit_roundoff<T>();
  const UpsampleConv2dShape s{.n = 2, .h = 3, .w = 2, .c = 8, .k = 6};
  const Conv2dShape full = s.upsampled();
  const int64_t x_elements = int64_t{s.n} * s.h * s.w * s.c;
  for (const UpsampleForm form : {UpsampleForm::kFolded, UpsampleForm::kNearest}) {
    const RunOptions options{.upsample = form};
    const Input<T> x(x_elements, 1, stream), w(full.weight_elements(), 2, stream),
        dy(full.y_elements(), 3, stream), residual(x_elements, 4, stream);
    const Input<T> bias(s.k, 5, stream);

    const Guarded<T> y(full.y_elements(), stream);
    run<T>(UpsampleConv2d{s, kA, kB, kC, kOut}, {{x.data(), w.data(), bias.data(), nullptr, y.data()}},
           stream, options);
    std::vector<double> expected(full.y_elements());
    reference::upsample_conv2d<double>(s, {x.oracle(), w.oracle(), bias.oracle(), nullptr, expected.data()});
    // Rounded: the bias, the sum of 9 C products, and in the folded form 4 C filter elements below 4.
    const double forward = (1 + 9 * s.c + 1 + 4 * s.c * 4) * (u + 3 * kE) + summation_error(9 * s.c);
    expect_within("upsample_conv2d", widened(y.values(stream)), expected, [&](size_t) { return forward; });

    for (const Residual where : kResiduals) {
      const Guarded<T> dx = output_of(where, residual, stream);
      run<T>(UpsampleConv2dBackwardData{s, kA, kB, buffer_of(where), kOut},
             {{dy.data(), w.data(), nullptr, residual.data(), dx.data()}}, stream, options);
      std::vector<double> expected_dx(x_elements);
      reference::upsample_conv2d_backward_data<double>(
          s, {dy.oracle(), w.oracle(), where == Residual::kNone ? nullptr : residual.oracle(),
              expected_dx.data()});
      // Rounded: the sum of 4 pixels with 9 K products each, those pixels or the 16 K filter elements, and
      // the float additions.
      const double backward =
          (36 * s.k + 1) * (u + 5 * kE) + 16 * s.k * 4 * (u + 3 * kE) + 4 * summation_error(16 * s.k);
      expect_within("upsample_conv2d_backward_data", widened(dx.values(stream)), expected_dx,
                    [&](size_t) { return backward; });
    }

    const Input<float> before(full.weight_elements(), 6, stream), bias_before(s.k, 7, stream);
    const Guarded<float> dweight(before.rounded_values, stream), dbias(bias_before.rounded_values, stream);
    run<T>(UpsampleConv2dBackwardWeight{s, kA, kB, kOut, kOut2},
           {{x.data(), dy.data(), nullptr, nullptr, dweight.data(), dbias.data()}}, stream, options);
    std::vector<double> expected_dweight = before.values, expected_dbias = bias_before.values;
    reference::upsample_conv2d_backward_weight<double>(
        s, {x.oracle(), dy.oracle(), expected_dweight.data(), expected_dbias.data()});
    const double terms = s.n * full.p() * full.q();
    expect_within("upsample dweight", widened(dweight.values(stream)), expected_dweight,
                  [&](size_t) { return terms * u + (terms + 1) * 4 * kE + summation_error(terms); });
    expect_within("upsample dbias", widened(dbias.values(stream)), expected_dbias,
                  [&](size_t) { return terms * (terms + 1) * kE; });
  }
}

const std::vector<LinearParams> kLinearShapes = {
    {.n = 3, .in = 16, .out = 24},
    {.n = 3, .in = 16, .out = 24, .input_activation = Activation::kSilu},
    {.n = 1, .in = 7, .out = 5, .input_activation = Activation::kSilu}};

template <typename T>
void expect_linear(const LinearParams& s, Residual where, Fusion fusion) {
  const Stream stream;
  const double u = unit_roundoff<T>();
  const Input<T> x(s.n * s.in, 1, stream), w(s.out * s.in, 2, stream), residual(s.n * s.out, 3, stream),
      bias(s.out, 4, stream);
  const Guarded<T> y = output_of(where, residual, stream);
  run<T>(Linear{s, kA, kB, kC, buffer_of(where), kOut},
         {{x.data(), w.data(), bias.data(), residual.data(), y.data()}}, stream, {.fusion = fusion});
  std::vector<double> expected(s.n * s.out);
  reference::linear<double>(s, {x.oracle(), w.oracle(), bias.oracle(),
                                where == Residual::kNone ? nullptr : residual.oracle(), expected.data()});
  // Rounded: f(x), below 1, with 4 operations in float; bias + residual; the sum.
  expect_within("linear", widened(y.values(stream)), expected,
                [&](size_t) { return s.in * (u + 4 * kE) + 2 * u + (s.in + 2) * u + summation_error(s.in); });
}

TYPED_TEST(LoweringTest, LinearAppliesActivationBiasAndResidual) {
  for (const LinearParams& s : kLinearShapes)
    for (const Residual where : kResiduals)
      for (const Fusion fusion : kFusions) expect_linear<TypeParam>(s, where, fusion);
}

TYPED_TEST(LoweringTest, LinearBackward) {
  using T = TypeParam;
  const Stream stream;
  const double u = unit_roundoff<T>();
  for (const LinearParams& s : kLinearShapes) {
    for (const bool with_dx : {false, true}) {
      const Input<T> dy(s.n * s.out, 1, stream), x(s.n * s.in, 2, stream), w(s.out * s.in, 3, stream);
      const Input<float> before(s.out * s.in, 4, stream), bias_before(s.out, 5, stream);
      const Guarded<T> dx(s.n * s.in, stream);
      const Guarded<float> dweight(before.rounded_values, stream), dbias(bias_before.rounded_values, stream);
      run<T>(LinearBackward{s, kA, kB, kC, with_dx ? BufferId{kD} : kNoBuffer, kOut, kOut2},
             {{dy.data(), x.data(), w.data(), dx.data(), dweight.data(), dbias.data()}}, stream);
      std::vector<double> expected_dx(s.n * s.in), expected = before.values,
                                                   expected_bias = bias_before.values;
      reference::linear_backward<double>(s, {dy.oracle(), x.oracle(), w.oracle(), expected_dx.data(),
                                             expected.data(), expected_bias.data()});
      // The GEMM's result is rounded, multiplied by f' < 1.1 (6 operations), and rounded again.
      if (with_dx)
        expect_within("linear dx", widened(dx.values(stream)), expected_dx,
                      [&](size_t) { return 1.1 * (s.out * (2 * u + 6 * kE) + summation_error(s.out)); });
      // f(x) is rounded if there is an f; the sum is accumulated in float.
      const double activation = s.input_activation == Activation::kNone ? 0 : s.n * (u + 4 * kE);
      expect_within("linear dweight", widened(dweight.values(stream)), expected,
                    [&](size_t) { return activation + (s.n + 1) * kE + summation_error(s.n); });
      expect_within("linear dbias", widened(dbias.values(stream)), expected_bias,
                    [&](size_t) { return s.n * (s.n + 1) * kE; });
    }
  }
}

// One head; several heads whose width is not a multiple of 16 bytes.
const std::vector<AttentionShape> kAttentionShapes = {{.n = 2, .length = 16, .heads = 1, .head_dim = 8},
                                                      {.n = 3, .length = 9, .heads = 2, .head_dim = 5}};

// Over the (L, L) matrices of all images and heads; at least 1, since their elements sum to L.
double largest_column_sum(const AttentionShape& s, const std::vector<double>& probabilities) {
  double largest = 0;
  for (int64_t matrix = 0; matrix < s.n * s.heads; ++matrix)
    for (int64_t j = 0; j < s.length; ++j) {
      double sum = 0;
      for (int64_t i = 0; i < s.length; ++i) sum += probabilities[(matrix * s.length + i) * s.length + j];
      largest = std::max(largest, sum);
    }
  return largest;
}

TYPED_TEST(LoweringTest, AttentionForward) {
  using T = TypeParam;
  const Stream stream;
  const double u = unit_roundoff<T>();
  for (const AttentionShape& s : kAttentionShapes) {
    const Input<T> qkv(3 * s.y_elements(), 1, stream);
    const Guarded<T> probabilities(s.score_elements(), stream), y(s.y_elements(), stream);
    run<T>(Attention{s, kA, kOut, kOut2},
           {{qkv.data(), nullptr, nullptr, nullptr, probabilities.data(), y.data()}}, stream);
    std::vector<double> expected_probabilities(s.score_elements()), expected(s.y_elements());
    reference::attention<double>(s, {qkv.oracle(), expected_probabilities.data(), expected.data()});
    // A score, below d, is rounded: sqrt(d) u after scaling, twice that in the quotient of exponentials; the
    // softmax does L + 8 operations in float. The probability, and y below 1, are rounded.
    const double score = s.head_dim * u + summation_error(s.head_dim);
    const double relative = 2 * score / std::sqrt(s.head_dim) + (s.length + 8) * kE + u;
    expect_within("probabilities", widened(probabilities.values(stream)), expected_probabilities,
                  [&](size_t i) { return expected_probabilities[i] * relative; });
    expect_within("attention", widened(y.values(stream)), expected,
                  [&](size_t) { return relative + u + summation_error(s.length); });
  }
}

TYPED_TEST(LoweringTest, AttentionBackward) {
  using T = TypeParam;
  const Stream stream;
  const double u = unit_roundoff<T>();
  for (const AttentionShape& s : kAttentionShapes) {
    const Input<T> qkv(3 * s.y_elements(), 1, stream), dy(s.y_elements(), 2, stream);
    std::vector<double> exact(s.score_elements()), y(s.y_elements());
    reference::attention<double>(s, {qkv.oracle(), exact.data(), y.data()});
    const std::vector<T> probabilities = rounded<T>(exact);
    const Guarded<T> given(probabilities, stream), dscores(s.score_elements(), stream),
        dqkv(3 * s.y_elements(), stream);
    run<T>(AttentionBackward{s, kA, kB, kC, kOut, kOut2},
           {{dy.data(), qkv.data(), given.data(), nullptr, dscores.data(), dqkv.data()}}, stream);
    std::vector<double> expected_dscores(s.score_elements()), expected(3 * s.y_elements());
    reference::attention_backward<double>(s, {dy.oracle(), qkv.oracle(), widened(probabilities).data(),
                                              expected_dscores.data(), expected.data()});
    // dP below d is rounded, and so is its mean under P; dS = P (dP - mean) / sqrt(d), below 2 sqrt(d)
    // P, is rounded again: 4 sqrt(d) P u. A row of P sums to 1, a column to at most `column`; the
    // result is rounded.
    const double column = largest_column_sum(s, exact);
    const double bound = column * std::sqrt(s.head_dim) * (6 * u + (s.length + 8) * kE) +
                         column * 4 * summation_error(s.head_dim) + summation_error(s.length) * s.head_dim;
    expect_within("dqkv", widened(dqkv.values(stream)), expected, [&](size_t) { return bound; });
  }
}

}  // namespace
}  // namespace ddpm
