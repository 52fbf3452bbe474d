// The start of sampling and its step against the reference in double, for every kind of row.
#include "kernels/cuda/kernels.h"
#include "kernels/reference/reference.h"
#include "tests/kernels/cuda/kernel_test.h"

namespace ddpm {
namespace {

using reference::random_values;

constexpr int64_t kFirstImage = (int64_t{1} << 32) - 1;  // the second image's index exceeds 32 bits

template <typename T>
class SamplerStep : public testing::Test {};
TYPED_TEST_SUITE(SamplerStep, StorageTypes);

// Images of whole and fractional numbers of vectors; more than a block; two copies of the batch
// for the network.
const std::vector<SamplerStepParams> kShapes = {{.n = 2, .h = 4, .w = 4, .c = 3},
                                                {.n = 3, .h = 3, .w = 5, .c = 3, .copies = 2, .seed = 4},
                                                {.n = 2, .h = 16, .w = 13, .c = 3, .seed = 77}};

// `values` once per copy that the network sees.
std::vector<double> repeated(const std::vector<double>& values, int copies) {
  std::vector<double> all;
  for (int copy = 0; copy < copies; ++copy) all.insert(all.end(), values.begin(), values.end());
  return all;
}

SamplerRow<double> widened_row(const SamplerRow<float>& row) {
  SamplerRow<double> wide{};
  const auto* from = reinterpret_cast<const float*>(&row);
  auto* to = reinterpret_cast<double*>(&wide);
  for (int i = 0; i < kSamplerColumns; ++i) to[i] = from[i];
  return wide;
}

TYPED_TEST(SamplerStep, StartMatchesReference) {
  using T = TypeParam;
  for (SamplerStepParams s : kShapes) {
    s.start_deviation = 4;  // a power of two: exact
    std::vector<SamplerRow<float>> table(1);
    table[0].timestep = 981;
    using Results = std::vector<std::vector<double>>;
    const Results results = same_in_every_order([&](StreamView stream) {
      const Guarded<SamplerRow<float>> rows(table, stream);
      const Guarded<int64_t> first(std::vector<int64_t>{kFirstImage}, stream);
      const Guarded<float> x(s.elements(), stream), t(s.copies * s.n, stream);
      const Guarded<T> input(s.copies * s.elements(), stream);
      cuda::sampler_start<T>(s, {rows.data(), first.data(), x.data(), input.data(), t.data()}, stream);
      return Results{widened(x.values(stream)), widened(input.values(stream)), widened(t.values(stream))};
    });
    std::vector<double> x(s.elements()), input(s.copies * s.elements()), t(s.copies * s.n);
    const SamplerRow<double> row = widened_row(table[0]);
    reference::sampler_start<double>(s, {&row, &kFirstImage, x.data(), input.data(), t.data()});
    EXPECT_EQ(results[0], x);
    EXPECT_EQ(results[1], repeated(widened(rounded<T>(x)), s.copies));
    EXPECT_EQ(results[2], t);
  }
}

// All results of a step, in one list: x, network_input, history, t.
using Results = std::vector<std::vector<double>>;

struct Case {
  SamplerStepParams params;
  std::vector<SamplerRow<float>> table;
  int64_t index;
  std::vector<float> x, history, threshold;
};

template <typename T>
Results run(const Case& c, const std::vector<T>& output) {
  return same_in_every_order([&](StreamView stream) {
    const Guarded<SamplerRow<float>> rows(c.table, stream);
    const Guarded<int64_t> index(std::vector<int64_t>{c.index}, stream);
    const Guarded<int64_t> first(std::vector<int64_t>{kFirstImage}, stream);
    const Guarded<float> x(c.x, stream), history(c.history, stream), threshold(c.threshold, stream);
    const Guarded<float> t(std::vector<float>(c.params.copies * c.params.n, -1.0F), stream);
    const Guarded<T> device_output(output, stream), input(c.params.copies * c.params.elements(), stream);
    cuda::sampler_step<T>(c.params,
                          {device_output.data(), rows.data(), index.data(), first.data(), x.data(),
                           c.history.empty() ? nullptr : history.data(),
                           c.threshold.empty() ? nullptr : threshold.data(), input.data(), t.data()},
                          stream);
    return Results{widened(x.values(stream)), widened(input.values(stream)), widened(history.values(stream)),
                   widened(t.values(stream))};
  });
}

template <typename T>
Results expected(const Case& c, const std::vector<T>& output) {
  std::vector<SamplerRow<double>> table;
  for (const SamplerRow<float>& row : c.table) table.push_back(widened_row(row));
  Results results = {widened(c.x), std::vector<double>(c.params.copies * c.x.size()), widened(c.history),
                     std::vector<double>(c.params.copies * c.params.n, -1.0)};
  const auto threshold = widened(c.threshold);
  reference::sampler_step<double>(
      c.params,
      {widened(output).data(), table.data(), &c.index, &kFirstImage, results[0].data(), results[2].data(),
       reference::data_or_null(threshold), results[1].data(), results[3].data()});
  return results;
}

template <typename T>
void expect_reference(const char* what, const Case& c) {
  const SamplerStepParams& s = c.params;
  const auto output = rounded<T>(random_values(s.elements() / s.c * s.output_channels(), 2));
  const Results actual = run<T>(c, output), exact = expected<T>(c, output);
  // In float, the magnitudes of the terms add up to less than 4, and each passes through at most 5 roundings
  // (three of x0, its product, the sum). The noise is below |x| + 4 and rounds up to 8 times: its factors,
  // exp, the sum.
  const auto bound_for = [&](size_t result) {
    return [&exact, result](size_t i) { return (5 * 4 + 8 * (std::abs(exact[result][i]) + 4)) * 0x1p-24; };
  };
  expect_within(what, actual[0], exact[0], bound_for(0));
  EXPECT_EQ(actual[1], repeated(widened(rounded<T>(actual[0])), s.copies)) << "the network input is x";
  if (!c.history.empty()) expect_within("history", actual[2], exact[2], bound_for(2));
  EXPECT_EQ(actual[3], exact[3]);
}

Case plain_case(const SamplerStepParams& params) {
  Case c{.params = params,
         .table = {},
         .index = 0,
         .x = rounded<float>(random_values(params.elements(), 1)),
         .history = {},
         .threshold = {}};
  SamplerRow<float> row{};
  row.timestep = 40;
  row.x0_from_x = 1.25F;
  row.x0_from_output = -0.75F;
  row.clip_range = 1;
  row.x.x = 0.5F;
  row.x.x0 = 0.7F;
  c.table = {row, row};
  c.table[1].timestep = 20;
  c.params.steps = 2;
  return c;
}

TYPED_TEST(SamplerStep, MatchesReferenceWithAndWithoutNoise) {
  for (const SamplerStepParams& params : kShapes) {
    Case c = plain_case(params);
    expect_reference<TypeParam>("DDIM", c);
    c.table[0].noise = 0.3F;
    expect_reference<TypeParam>("DDPM", c);
    c.index = 1;
    c.table[1].noise = 1;
    expect_reference<TypeParam>("the last row keeps t", c);
    c.table[1].clip_range = std::numeric_limits<float>::infinity();
    c.table[1].x.output = -0.4F;
    expect_reference<TypeParam>("no clipping", c);
  }
}

TYPED_TEST(SamplerStep, HistoryIsReadBeforeWritingAndSkippedAtZeroWeight) {
  for (const SamplerStepParams& params : kShapes) {
    Case c = plain_case(params);
    c.params.history_size = 3;
    const int64_t elements = params.elements();
    c.history = rounded<float>(random_values(3 * elements, 3));
    SamplerRow<float>& row = c.table[0];
    row.x.history[0] = 1.5F;
    row.history[0].x0 = 1;          // the new x0 replaces the old,
    row.history[1].history[0] = 1;  // which moves on to 1
    row.history[1].output = -0.5F;  // history 2 stays
    expect_reference<TypeParam>("three history tensors", c);
    row.x.history[0] = row.history[1].history[0] = 0;
    // History 0 and 1 have not been written yet. History 2 stays unwritten, so it is left out
    // of the comparison.
    c.params.history_size = 2;
    c.history.assign(2 * elements, std::numeric_limits<float>::quiet_NaN());
    expect_reference<TypeParam>("first step", c);
  }
}

TYPED_TEST(SamplerStep, MatchesReferenceWithLearnedVarianceAndThresholds) {
  for (const SamplerStepParams& params : kShapes) {
    Case c = plain_case(params);
    c.params.output = SamplerOutput::kMeanAndLogVariance;
    c.table[0].noise = 0.2F;
    c.table[0].noise_range = 1;
    expect_reference<TypeParam>("learned variance", c);
    c.threshold = {1, 1.5F, 1.75F};
    c.threshold.resize(params.n);
    expect_reference<TypeParam>("thresholds", c);
  }
}

TEST(SamplerStepClipping, PropagatesNaN) {
  Case c = plain_case(kShapes[0]);
  std::vector<float> output(c.x.size(), 0.0F);
  output[5] = std::numeric_limits<float>::quiet_NaN();
  const Stream stream;
  const Guarded<SamplerRow<float>> rows(c.table, stream);
  const Guarded<int64_t> index(std::vector<int64_t>{0}, stream), first(std::vector<int64_t>{0}, stream);
  const Guarded<float> x(c.x, stream), t(c.params.n, stream), device_output(output, stream),
      input(c.params.elements(), stream);
  cuda::sampler_step<float>(c.params,
                            {device_output.data(), rows.data(), index.data(), first.data(), x.data(), nullptr,
                             nullptr, input.data(), t.data()},
                            stream);
  EXPECT_TRUE(std::isnan(x.values(stream)[5]));
}

}  // namespace
}  // namespace ddpm
