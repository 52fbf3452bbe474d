// Single elements of convolutions and GEMMs against the reference in double, which adds the same exact
// products in another order; and the fingerprint that compares arrays.
#include <algorithm>
#include <numeric>

#include "kernels/cuda/kernels.h"
#include "kernels/reference/reference.h"
#include "tests/kernels/cuda/kernel_test.h"

namespace ddpm {
namespace {

using reference::random_values;

template <typename T>
class SampledElements : public testing::Test {};
TYPED_TEST_SUITE(SampledElements, StorageTypes);

// 3x3 with padding on all sides; DDPM's downsampling; the folded filter of an upsampling convolution; 1x1.
const std::vector<Conv2dShape> kShapes = {
    {.n = 2, .h = 4, .w = 3, .c = 5, .k = 3, .weight_channels = 5},
    {.n = 1, .h = 6, .w = 4, .c = 3, .k = 4, .stride = 2, .pad_before = 0, .weight_channels = 3},
    {.n = 1, .h = 4, .w = 6, .c = 3, .k = 2, .filter = 4, .stride = 2, .weight_channels = 3},
    {.n = 2,
     .h = 2,
     .w = 3,
     .c = 4,
     .k = 3,
     .filter = 1,
     .pad_before = 0,
     .pad_after = 0,
     .weight_channels = 4}};

std::vector<int64_t> all_elements(int64_t count) {
  std::vector<int64_t> elements(static_cast<size_t>(count));
  std::iota(elements.begin(), elements.end(), 0);
  return elements;
}

std::vector<double> products(const std::vector<SampledElement>& samples) {
  std::vector<double> values;
  for (const SampledElement& sample : samples) values.push_back(sample.product);
  return values;
}

// Samples all elements; launch(count, elements, samples).
template <typename Launch>
std::vector<SampledElement> sample_all(int64_t count, StreamView stream, const Launch& launch) {
  const Guarded<int64_t> elements(all_elements(count), stream);
  const Guarded<SampledElement> samples(count, stream);
  launch(count, elements.data(), samples.data());
  return samples.values(stream);
}

// Doubles add some thousand products below 1 in two orders.
constexpr double kBound = 1e-12;

TYPED_TEST(SampledElements, ConvolutionsMatchReference) {
  using T = TypeParam;
  const Stream stream;
  for (const Conv2dShape& s : kShapes) {
    const auto x = rounded<T>(random_values(s.x_elements(), 1)),
               w = rounded<T>(random_values(s.weight_elements(), 2)),
               y = rounded<T>(random_values(s.y_elements(), 3));
    const Guarded<T> dx(x, stream), dw(w, stream), dy(y, stream);
    const auto sampled = [&](Conv2dPass pass, int64_t count) {
      return products(sample_all(count, stream, [&](int64_t n, const int64_t* elements, SampledElement* to) {
        cuda::sample_conv2d<T>(s, pass, {dx.data(), dw.data(), dy.data()}, n, elements, to, stream);
      }));
    };
    std::vector<double> forward(y.size()), data(x.size()), weight(w.size());
    reference::conv2d<double>(s, {widened(x).data(), widened(w).data(), nullptr, nullptr, forward.data()});
    reference::conv2d_backward_data<double>(s, {widened(y).data(), widened(w).data(), nullptr, data.data()});
    reference::conv2d_backward_weight<double>(s,
                                              {widened(x).data(), widened(y).data(), weight.data(), nullptr});
    const auto bound = [](size_t) { return kBound; };
    expect_within("forward", sampled(Conv2dPass::kForward, s.y_elements()), forward, bound);
    expect_within("data", sampled(Conv2dPass::kBackwardData, s.x_elements()), data, bound);
    expect_within("weight", sampled(Conv2dPass::kBackwardWeight, s.weight_elements()), weight, bound);
  }
}

TYPED_TEST(SampledElements, SeparateAddendFromTermMagnitudes) {
  using T = TypeParam;
  const Stream stream;
  const Conv2dShape s = kShapes[0];
  auto x = rounded<T>(random_values(s.x_elements(), 1));
  const auto w = rounded<T>(random_values(s.weight_elements(), 2)), bias = rounded<T>(random_values(s.k, 3)),
             residual = rounded<T>(random_values(s.y_elements(), 4));
  const Guarded<T> dw(w, stream), dbias(bias, stream), dresidual(residual, stream);
  const Guarded<T> dx(x, stream);
  const auto samples =
      sample_all(s.y_elements(), stream, [&](int64_t n, const int64_t* elements, SampledElement* to) {
        cuda::sample_conv2d<T>(s, Conv2dPass::kForward,
                               {dx.data(), dw.data(), nullptr, dresidual.data(), dbias.data()}, n, elements,
                               to, stream);
      });
  // The sum of absolute values is the convolution of absolute values.
  std::vector<double> absolute_x = widened(x), absolute_w = widened(w), magnitude(samples.size());
  for (std::vector<double>* values : {&absolute_x, &absolute_w})
    for (double& value : *values) value = std::abs(value);
  reference::conv2d<double>(s, {absolute_x.data(), absolute_w.data(), nullptr, nullptr, magnitude.data()});
  for (size_t i = 0; i < samples.size(); ++i) {
    EXPECT_NEAR(samples[i].magnitude, magnitude[i], kBound);
    EXPECT_EQ(samples[i].added, double(to_float(bias[i % static_cast<size_t>(s.k)])) + to_float(residual[i]));
  }
}

TYPED_TEST(SampledElements, GemmsRespectAllStrides) {
  using T = TypeParam;
  const Stream stream;
  // b is transposed; rows and matrices have gaps between them.
  const GemmSampleParams s{.m = 3,
                           .n = 4,
                           .k = 150,  // more than a block has threads
                           .batch = 2,
                           .a = {.begin = 2, .batch_stride = 500, .row_stride = 152},
                           .b = {.begin = 1, .batch_stride = 700, .row_stride = 1, .column_stride = 151},
                           .c = {.begin = 3, .batch_stride = 40, .row_stride = 9},
                           .alpha = 0.5F,
                           .beta = 2};
  const auto a = rounded<T>(random_values(1100, 1)), b = rounded<T>(random_values(1500, 2));
  const std::vector<float> c = rounded<float>(random_values(100, 3)),
                           bias = rounded<float>(random_values(s.n, 4));
  const Guarded<T> da(a, stream), db(b, stream);
  const Guarded<float> dc(c, stream), dbias(bias, stream);
  const auto samples =
      sample_all(s.batch * s.m * s.n, stream, [&](int64_t n, const int64_t* elements, SampledElement* to) {
        cuda::sample_gemm<T, float>(s, {da.data(), db.data(), dc.data(), dbias.data()}, n, elements, to,
                                    stream);
      });
  size_t at = 0;
  for (int64_t image = 0; image < s.batch; ++image)
    for (int64_t i = 0; i < s.m; ++i)
      for (int64_t j = 0; j < s.n; ++j, ++at) {
        double sum = 0, magnitude = 0;
        for (int64_t l = 0; l < s.k; ++l) {
          const double term = 0.5 * to_float(a[static_cast<size_t>(2 + image * 500 + i * 152 + l)]) *
                              to_float(b[static_cast<size_t>(1 + image * 700 + j * 151 + l)]);
          sum += term;
          magnitude += std::abs(term);
        }
        EXPECT_NEAR(samples[at].product, sum, kBound);
        EXPECT_NEAR(samples[at].magnitude, magnitude, kBound);
        EXPECT_EQ(samples[at].added,
                  bias[static_cast<size_t>(j)] + 2.0 * c[static_cast<size_t>(3 + image * 40 + i * 9 + j)]);
      }
}

TYPED_TEST(SampledElements, GatherReadsGivenOffsets) {
  using T = TypeParam;
  const Stream stream;
  const auto values = rounded<T>(random_values(300, 1));
  std::vector<int64_t> offsets;
  for (int64_t i = 0; i < 200; ++i) offsets.push_back((i * 77 + 299) % 300);
  const Guarded<T> from(values, stream);
  const Guarded<int64_t> where(offsets, stream);
  const Guarded<double> to(200, stream);
  cuda::gather<T>(200, where.data(), from.data(), to.data(), stream);
  const std::vector<double> gathered = to.values(stream);
  for (size_t i = 0; i < offsets.size(); ++i)
    EXPECT_EQ(gathered[i], to_float(values[static_cast<size_t>(offsets[i])]));
}

uint64_t fingerprint_of(const std::vector<uint8_t>& bytes, StreamView stream) {
  const auto count = static_cast<int64_t>(bytes.size());
  const Guarded<uint8_t> array(bytes, stream);
  const Guarded<uint64_t> parts(cuda::fingerprint_parts(count), stream);
  cuda::fingerprint(count, array.data(), parts.data(), stream);
  const std::vector<uint64_t> values = parts.values(stream);
  return std::accumulate(values.begin(), values.end(), uint64_t{0});
}

TEST(Fingerprint, DetectsAnyBitAndAnyOrder) {
  // A whole and a fractional number of words; more than one part.
  for (const size_t size : {size_t{8}, size_t{11}, size_t{20001}}) {
    std::vector<uint8_t> bytes(size);
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(i * 37 + i / 256);
    const uint64_t before =
        same_in_every_order([&](StreamView stream) { return fingerprint_of(bytes, stream); });
    const Stream stream;
    for (const size_t at : {size_t{0}, size / 2, size - 1}) {
      std::vector<uint8_t> other = bytes;
      other[at] ^= 1;
      EXPECT_NE(fingerprint_of(other, stream), before) << "byte " << at << " of " << size;
    }
    std::vector<uint8_t> swapped = bytes;
    std::swap_ranges(swapped.begin(), swapped.begin() + 4, swapped.begin() + 4);
    EXPECT_NE(fingerprint_of(swapped, stream), before);
  }
}

TEST(FlushCache, ReadsEveryWord) {
  const Stream stream;
  constexpr int64_t kWords = 5000;  // several blocks, the last not full
#ifndef __SANITIZE_THREAD__         // recording a nonzero word is a race, but in production there is none
  for (const int64_t at : {int64_t{0}, int64_t{1023}, int64_t{1024}, kWords - 1}) {
    std::vector<float> words(kWords);
    words[static_cast<size_t>(at)] = 1;  // the kernel records it in the first word
    const Guarded<float> array(words, stream);
    cuda::flush_cache(kWords, array.data(), stream);
    EXPECT_EQ(array.values(stream)[0], 1) << at;
  }
#endif
  const Guarded<float> zeros(std::vector<float>(kWords), stream);
  cuda::flush_cache(kWords, zeros.data(), stream);
  EXPECT_EQ(zeros.values(stream), std::vector<float>(kWords)) << "the kernel must not write to the array";
}

}  // namespace
}  // namespace ddpm
