// Both ends of a training step against the reference, which draws the same random numbers.
#include "kernels/cuda/kernels.h"
#include "kernels/reference/reference.h"
#include "tests/kernels/cuda/kernel_test.h"

namespace ddpm {
namespace {

using reference::random_values;

// A data set without pattern, and a cosine-like schedule whose values are floats.
struct Fixture {
  explicit Fixture(const DiffusionParams& s) : params(s) {
    for (int64_t e = 0; e < s.dataset_count * s.image_elements(); ++e)
      dataset.push_back(static_cast<uint8_t>(e * e * 37 + 11 * e));
    for (int t = 0; t < s.timesteps; ++t) {
      const float angle = 1.5F * static_cast<float>(t + 1) / static_cast<float>(s.timesteps);
      signal.push_back(std::cos(angle));
      noise.push_back(std::sin(angle));
    }
  }
  DiffusionParams params;
  int64_t step = (int64_t{1} << 33) + 5;  // positions exceed 32 bits
  std::vector<uint8_t> dataset;
  std::vector<float> signal, noise;
};

// Images of one vector, of a fractional number of vectors, of several chunks; flips and antithetic timesteps.
std::vector<DiffusionParams> shapes() {
  return {{.n = 3, .h = 4, .w = 4, .c = 3, .dataset_count = 5, .timesteps = 20},
          {.n = 5,
           .h = 5,
           .w = 3,
           .c = 3,
           .dataset_count = 7,
           .timesteps = 1000,
           .horizontal_flip = true,
           .seed = 9},
          {.n = 4,
           .h = 7,
           .w = 5,
           .c = 1,
           .dataset_count = 3,
           .timesteps = 50,
           .draw = TimestepDraw::kAntithetic},
          {.n = 2,
           .h = 32,
           .w = 24,
           .c = 3,
           .dataset_count = 3,
           .timesteps = 1000,
           .draw = TimestepDraw::kAntithetic,
           .horizontal_flip = true,
           .seed = (uint64_t{1} << 40) + 3}};
}

template <typename T>
class Diffusion : public testing::Test {};
TYPED_TEST_SUITE(Diffusion, StorageTypes);

struct Batch {
  std::vector<double> x_t, t;
  std::vector<int64_t> index;
  bool operator==(const Batch&) const = default;
};

template <typename T>
Batch diffuse(const Fixture& f, StreamView stream) {
  const Guarded<uint8_t> dataset(f.dataset, stream);
  const Guarded<float> signal(f.signal, stream), noise(f.noise, stream), t(f.params.n, stream);
  const Guarded<int64_t> step(std::vector<int64_t>{f.step}, stream), index(f.params.n, stream);
  const Guarded<T> x_t(f.params.elements(), stream);
  const Guarded<unsigned char> scratch(int64_t(cuda::diffuse_scratch_bytes(f.params)), stream);
  cuda::diffuse<T>(
      f.params,
      {dataset.data(), signal.data(), noise.data(), step.data(), x_t.data(), t.data(), index.data()},
      scratch.data(), stream);
  static_cast<void>(scratch.values(stream));  // its guards
  return {widened(x_t.values(stream)), widened(t.values(stream)), index.values(stream)};
}

Batch expected_batch(const Fixture& f) {
  Batch batch{std::vector<double>(f.params.elements()), std::vector<double>(f.params.n),
              std::vector<int64_t>(f.params.n)};
  reference::diffuse<double>(f.params, {f.dataset.data(), widened(f.signal).data(), widened(f.noise).data(),
                                        &f.step, batch.x_t.data(), batch.t.data(), batch.index.data()});
  return batch;
}

TYPED_TEST(Diffusion, MatchesReference) {
  using T = TypeParam;
  for (const DiffusionParams& params : shapes()) {
    const Fixture f(params);
    const Batch batch = same_in_every_order([&](StreamView stream) { return diffuse<T>(f, stream); });
    const Batch expected = expected_batch(f);
    EXPECT_EQ(batch.t, expected.t);
    EXPECT_EQ(batch.index, expected.index);
    // The noise has the same bits, |eps| < 6.8. In float, x0 rounds twice, each product and the sum once: 5
    // roundings of values below 8. Storage rounds once.
    expect_within("diffuse", batch.x_t, expected.x_t,
                  [&](size_t i) { return 5 * 8 * 0x1p-24 + unit_roundoff<T>() * std::abs(expected.x_t[i]); });
  }
}

TYPED_TEST(Diffusion, ZeroNoiseOrSignalLeavesTheOther) {
  using T = TypeParam;
  Fixture f(shapes()[1]);
  f.noise.assign(f.noise.size(), 0);
  f.signal.assign(f.signal.size(), 255);  // 255 (value / 127.5 - 1) = 2 value - 255: integers, exact in float
  const Stream stream;
  const Batch pixels = diffuse<T>(f, stream);
  const Batch expected = expected_batch(f);
  for (size_t i = 0; i < pixels.x_t.size(); ++i)
    ASSERT_EQ(std::round(pixels.x_t[i]),
              to_float(from_float<T>(static_cast<float>(std::round(expected.x_t[i])))));
  f.signal.assign(f.signal.size(), 0);
  f.noise.assign(f.noise.size(), 1);
  EXPECT_EQ(diffuse<T>(f, stream).x_t, widened(rounded<T>(expected_batch(f).x_t))) << "noise differs in bits";
}

struct LossOutputs {
  std::vector<double> dprediction, image_loss;
  bool operator==(const LossOutputs&) const = default;
};

template <typename T>
LossOutputs run_loss(const Fixture& f, const std::vector<float>& t, const std::vector<T>& prediction,
                     const std::vector<float>& weight, StreamView stream) {
  const Guarded<uint8_t> dataset(f.dataset, stream);
  const Guarded<float> signal(f.signal, stream), noise(f.noise, stream), weights(weight, stream),
      times(t, stream);
  const Guarded<int64_t> step(std::vector<int64_t>{f.step}, stream);
  const Guarded<T> on_device(prediction, stream), dprediction(f.params.elements(), stream);
  const Guarded<float> image_loss(f.params.n, stream);
  const Guarded<unsigned char> scratch(int64_t(cuda::loss_scratch_bytes(f.params)), stream);
  cuda::loss<T>(f.params,
                {on_device.data(), dataset.data(), signal.data(), noise.data(),
                 weight.empty() ? nullptr : weights.data(), times.data(), step.data(), dprediction.data(),
                 image_loss.data()},
                scratch.data(), stream);
  static_cast<void>(scratch.values(stream));
  return {widened(dprediction.values(stream)), widened(image_loss.values(stream))};
}

// The rows of the step's images in batch order, like a streamed data set.
std::vector<uint8_t> rows_of_batch(const Fixture& f, const std::vector<int64_t>& index) {
  std::vector<uint8_t> rows;
  for (const int64_t i : index) {
    const auto begin = f.dataset.begin() + i * f.params.image_elements();
    rows.insert(rows.end(), begin, begin + f.params.image_elements());
  }
  return rows;
}

TYPED_TEST(Diffusion, StreamedRowsGiveTheSameBits) {
  using T = TypeParam;
  const Stream stream;
  for (const DiffusionParams& params : shapes()) {
    Fixture whole(params);
    const Batch expected = diffuse<T>(whole, stream);
    Fixture streamed = whole;
    streamed.params.rows = DatasetRows::kBatchImages;
    streamed.dataset = rows_of_batch(whole, expected.index);
    EXPECT_EQ(diffuse<T>(streamed, stream), expected);
    whole.params.prediction = streamed.params.prediction = Prediction::kVelocity;  // reads the images again
    const auto prediction = rounded<T>(random_values(params.elements(), 1));
    const auto t = rounded<float>(expected.t);
    EXPECT_EQ(run_loss<T>(streamed, t, prediction, {}, stream),
              run_loss<T>(whole, t, prediction, {}, stream));
  }
}

TYPED_TEST(Diffusion, LossMatchesReference) {
  using T = TypeParam;
  for (DiffusionParams params : shapes()) {
    for (const Prediction kind : {Prediction::kEpsilon, Prediction::kSample, Prediction::kVelocity}) {
      params.prediction = kind;
      params.reduction = kind == Prediction::kSample ? LossReduction::kSum : LossReduction::kMean;
      const Fixture f(params);
      const auto prediction = rounded<T>(random_values(params.elements(), 1));
      const auto weight = kind == Prediction::kEpsilon
                              ? std::vector<float>{}
                              : rounded<float>(random_values(params.timesteps, 2, 2));
      const auto t = rounded<float>(expected_batch(f).t);
      const LossOutputs actual = same_in_every_order(
          [&](StreamView stream) { return run_loss<T>(f, t, prediction, weight, stream); });

      LossOutputs expected{std::vector<double>(params.elements()), std::vector<double>(params.n)};
      const auto wide_weight = widened(weight);
      reference::loss<double>(
          params, {widened(prediction).data(), f.dataset.data(), widened(f.signal).data(),
                   widened(f.noise).data(), reference::data_or_null(wide_weight), widened(t).data(), &f.step,
                   expected.dprediction.data(), expected.image_loss.data()});
      // The target is off by 5 roundings of values below 8 (see above), the difference by one, the
      // factor by three.
      const double u = 0x1p-24;
      const double error = 6 * 8 * u;
      const double elements = double(params.image_elements());
      const double factor = (kind == Prediction::kSample ? 1 : 1 / elements) * (weight.empty() ? 1 : 3);
      expect_within("dprediction", actual.dprediction, expected.dprediction, [&](size_t i) {
        return 2 * factor / params.n * error +
               (4 * u + unit_roundoff<T>()) * std::abs(expected.dprediction[i]);
      });
      // The squares are off by 2 |difference| error, together by at most 2 error sqrt(elements * sum of
      // squares); the sum of positive terms by one relative rounding for each of 8 + 7 additions in a block,
      // 7 over chunks, 4 products.
      expect_within("image_loss", actual.image_loss, expected.image_loss, [&](size_t i) {
        const double loss = expected.image_loss[i];
        return 2 * error * std::sqrt(elements * factor * loss) + 26 * u * loss;
      });
    }
  }
}

TYPED_TEST(Diffusion, LossIsZeroAtTheTarget) {
  using T = TypeParam;
  const Stream stream;
  Fixture f(shapes()[3]);
  f.signal.assign(f.signal.size(), 0);
  f.noise.assign(f.noise.size(), 1);
  const auto t = rounded<float>(expected_batch(f).t);
  const auto noise = rounded<T>(expected_batch(f).x_t);
  const LossOutputs actual = run_loss<T>(f, t, noise, {}, stream);
  // In float the difference is exactly zero; in bf16 it is what storage rounded off |eps| < 6.8.
  for (const double value : actual.image_loss)
    EXPECT_LE(value, sizeof(T) == 4 ? 0 : std::pow(6.8 * unit_roundoff<T>(), 2));
}

}  // namespace
}  // namespace ddpm
