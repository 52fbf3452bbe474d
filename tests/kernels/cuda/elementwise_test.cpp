// Elementwise kernels, biases and their gradients against double arithmetic on the same rounded inputs.
#include "kernels/cuda/kernels.h"
#include "kernels/cuda/row_plan.h"
#include "tests/kernels/cuda/kernel_test.h"

namespace ddpm {
namespace {

using Rows = std::vector<std::vector<double>>;
using reference::random_values;

template <typename T>
class Elementwise : public testing::Test {};
TYPED_TEST_SUITE(Elementwise, StorageTypes);

// Below, at and above a vector, a block's iteration of 256 vectors, and a block's 1024.
const std::vector<int64_t> kCounts = {1, 3, 8, 17, 2048, 8192, 8192 + 1027};

TYPED_TEST(Elementwise, SumsOfSmallIntegersAreExact) {
  using T = TypeParam;
  for (const int64_t count : kCounts) {
    std::vector<double> a, b, sum;
    for (int64_t i = 0; i < count; ++i) {
      a.push_back(double(i % 97) - 40);
      b.push_back(double(i % 31));
      sum.push_back(a.back() + b.back());  // below 2^8 in magnitude: exact in both types
    }
    const auto y = same_in_every_order([&](StreamView stream) {
      const Guarded<T> x0(rounded<T>(a), stream), x1(rounded<T>(b), stream), out(count, stream);
      cuda::add<T>(count, x0.data(), x1.data(), out.data(), stream);
      cuda::add<T>(count, x0.data(), x1.data(), x0.data(), stream);  // in place
      EXPECT_EQ(widened(x0.values(stream)), sum);
      return widened(out.values(stream));
    });
    EXPECT_EQ(y, sum) << count;
  }
}

TYPED_TEST(Elementwise, AccumulateAddsToExistingValues) {
  using T = TypeParam;
  for (const int64_t count : kCounts) {
    const auto from = rounded<T>(random_values(count, 1));
    const auto before = rounded<float>(random_values(count, 2));
    const auto sum = same_in_every_order([&](StreamView stream) {
      const Guarded<T> added(from, stream);
      const Guarded<float> to(before, stream);
      cuda::accumulate<T>(count, added.data(), to.data(), stream);
      return widened(to.values(stream));
    });
    for (int64_t i = 0; i < count; ++i)
      ASSERT_EQ(sum[i], before[i] + to_float(from[i])) << i;  // one rounding
  }
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

TYPED_TEST(Elementwise, SiluAndItsGradientMatchDouble) {
  using T = TypeParam;
  const int64_t count = 5003;
  auto values = random_values(count, 1);
  for (double& value : values) value *= 12;
  values[0] = 200;  // exp(-x) underflows, and overflows
  values[1] = -200;
  const auto x = rounded<T>(values);
  const auto dy = rounded<T>(random_values(count, 2));
  const Rows results = same_in_every_order([&](StreamView stream) {
    const Guarded<T> input(x, stream), gradient(dy, stream), y(count, stream), dx(count, stream);
    cuda::silu<T>(count, input.data(), y.data(), stream);
    cuda::silu_backward<T>(count, input.data(), gradient.data(), dx.data(), stream);
    return Rows{widened(y.values(stream)), widened(dx.values(stream))};
  });
  std::vector<double> y, dx;
  for (int64_t i = 0; i < count; ++i) {
    const double v = to_float(x[i]), s = sigmoid(v);
    y.push_back(v * s);
    dx.push_back(to_float(dy[i]) * s * (1 + v * (1 - s)));
  }
  // Storage rounds once. In float: exp to two units, an addition, a division, a product, below 8 roundings;
  // the gradient has three more terms, of which 1 + x (1 - s) may cancel at |x| <= 12.
  const double u = 0x1p-24;
  expect_within("silu", results[0], y, [&](size_t i) {
    return unit_roundoff<T>() * std::abs(y[i]) + 8 * u * std::abs(y[i]) + 1e-30;
  });
  expect_within("silu_backward", results[1], dx, [&](size_t i) {
    const double v = std::abs(to_float(x[i])), s = sigmoid(to_float(x[i]));
    return unit_roundoff<T>() * std::abs(dx[i]) + 16 * u * s * (1 + v) + 1e-30;
  });
}

TYPED_TEST(Elementwise, ConversionRoundsOnce) {
  using T = TypeParam;
  for (const int64_t count : kCounts) {
    const auto values = rounded<float>(random_values(count, 3));
    const auto narrow = rounded<T>(widened(values));
    const Rows results = same_in_every_order([&](StreamView stream) {
      const Guarded<float> from(values, stream), back(count, stream);
      const Guarded<T> to(count, stream);
      cuda::convert(count, from.data(), to.data(), stream);
      cuda::convert(count, static_cast<const T*>(to.data()), back.data(), stream);
      return Rows{widened(to.values(stream)), widened(back.values(stream))};
    });
    EXPECT_EQ(results[0], widened(narrow)) << count;
    EXPECT_EQ(results[1], widened(narrow)) << count;
  }
}

struct Matrix {
  int64_t rows;
  int channels;
};

// One row, fewer rows than a block takes, several blocks; widths of one vector, of a number that does not
// divide a block (24, 384), of more than a block (2056), and of less than a vector (3, 10).
const std::vector<Matrix> kMatrices = {{1, 8},   {5, 128},   {300, 24}, {7, 384}, {2, 2056},
                                       {700, 8}, {1000, 16}, {200, 3},  {70, 10}};

TYPED_TEST(Elementwise, BiasIsAddedToEachRow) {
  using T = TypeParam;
  for (const auto& [rows, channels] : kMatrices) {
    const int64_t count = rows * channels;
    const auto bias = rounded<T>(random_values(channels, 1));
    const auto residual = rounded<T>(random_values(count, 2));
    const Rows results = same_in_every_order([&](StreamView stream) {
      const Guarded<T> b(bias, stream), r(residual, stream), plain(count, stream), added(count, stream);
      cuda::broadcast_bias<T>(rows, channels, b.data(), nullptr, plain.data(), stream);
      cuda::broadcast_bias<T>(rows, channels, b.data(), r.data(), added.data(), stream);
      cuda::broadcast_bias<T>(rows, channels, b.data(), r.data(), r.data(), stream);  // in place
      EXPECT_EQ(widened(r.values(stream)), widened(added.values(stream)));
      return Rows{widened(plain.values(stream)), widened(added.values(stream))};
    });
    // The sum of two floats rounds once and storage once more, here as in the kernel.
    std::vector<double> plain, added;
    for (int64_t i = 0; i < count; ++i) {
      plain.push_back(to_float(bias[i % channels]));
      added.push_back(to_float(from_float<T>(to_float(bias[i % channels]) + to_float(residual[i]))));
    }
    EXPECT_EQ(results[0], plain) << rows << 'x' << channels;
    EXPECT_EQ(results[1], added) << rows << 'x' << channels;
  }
}

// Into rows that are wider by 8 (still vectors), by 5 (not) or not at all, starting at an aligned
// column or not.
TYPED_TEST(Elementwise, AccumulateIntoColumnSliceKeepsOtherColumns) {
  using T = TypeParam;
  for (const auto& [rows, channels] : kMatrices)
    for (const auto& [begin, wider] : {std::pair{4, 8}, {4, 5}, {3, 8}, {0, 0}}) {
      const int64_t stride = channels + wider;
      const auto from = rounded<T>(random_values(rows * channels, 1));
      auto expected = rounded<float>(random_values(rows * stride, 2));
      const auto sum = same_in_every_order([&](StreamView stream) {
        const Guarded<T> added(from, stream);
        const Guarded<float> to(expected, stream);
        cuda::accumulate_rows<T>(rows, channels, stride, added.data(), to.data() + begin, stream);
        return widened(to.values(stream));
      });
      for (int64_t row = 0; row < rows; ++row)
        for (int k = 0; k < channels; ++k)
          expected[row * stride + begin + k] += to_float(from[row * channels + k]);
      EXPECT_EQ(sum, widened(expected)) << rows << 'x' << channels << " at " << begin << " of " << stride;
    }
}

template <typename T>
std::vector<double> bias_gradient(const Matrix& m, const std::vector<T>& dy,
                                  const std::vector<float>& before) {
  return same_in_every_order([&](StreamView stream) {
    const Guarded<T> gradient(dy, stream);
    const Guarded<float> dbias(before, stream), also_dbias(before, stream);
    const Guarded<unsigned char> scratch(int64_t(cuda::bias_gradient_scratch_bytes(m.rows, m.channels)),
                                         stream);
    cuda::bias_gradient<T>(m.rows, m.channels, gradient.data(), {dbias.data(), also_dbias.data()},
                           scratch.data(), stream);
    static_cast<void>(scratch.values(stream));  // its guards
    EXPECT_EQ(also_dbias.values(stream), dbias.values(stream));
    return widened(dbias.values(stream));
  });
}

TYPED_TEST(Elementwise, BiasGradientOfIntegersIsExact) {
  using T = TypeParam;
  for (const Matrix& m : kMatrices) {
    std::vector<double> dy;
    std::vector<double> sum(m.channels, 5.0);  // initial values, which accumulate
    for (int64_t i = 0; i < m.rows * m.channels; ++i) {
      dy.push_back(double((i * 7) % 61) - 20);
      sum[i % m.channels] += dy.back();  // below 2^24: exact in float
    }
    EXPECT_EQ(bias_gradient<T>(m, rounded<T>(dy), std::vector<float>(m.channels, 5.0F)), sum)
        << m.rows << 'x' << m.channels;
  }
}

TYPED_TEST(Elementwise, BiasGradientIsWithinBounds) {
  using T = TypeParam;
  const Matrix m{3000, 40};
  const auto dy = rounded<T>(random_values(m.rows * m.channels, 4, 0.5));
  std::vector<double> sum(m.channels), magnitude(m.channels);
  for (size_t i = 0; i < dy.size(); ++i) {
    sum[i % m.channels] += to_float(dy[i]);
    magnitude[i % m.channels] += std::abs(to_float(dy[i]));
  }
  // A chunk has 64 rows; a thread adds at most 64 of them, then 64 / its share of threads and 47 / 16 + 16
  // chunks: no element passes through more than 64 + 19 additions, each off by 2^-24 of a partial sum.
  expect_within("bias_gradient", bias_gradient<T>(m, dy, std::vector<float>(m.channels, 0.0F)), sum,
                [&](size_t i) { return 83 * 0x1p-24 * magnitude[i]; });
}

TEST(RowPlan, CoversEveryColumnAndRow) {
  for (const int columns : {1, 3, 16, 48, 128, 255, 256, 257, 1000}) {
    const cuda::RowPlan plan = cuda::row_plan(columns);
    EXPECT_GE(plan.lanes * plan.column_blocks, columns);
    EXPECT_LE(plan.lanes * plan.rows, cuda::kRowThreads);
    EXPECT_GE(plan.rows, 1);
  }
  for (const int64_t rows :
       {int64_t{1}, int64_t{63}, int64_t{64}, int64_t{65}, int64_t{40000}, int64_t{1} << 33}) {
    const cuda::RowChunks chunks = cuda::row_chunks(rows);
    EXPECT_GE(chunks.count * chunks.rows, rows);
    EXPECT_LT((chunks.count - 1) * chunks.rows, rows) << "no chunk is empty";
    EXPECT_LE(chunks.count, 512);
  }
}

TEST(Counter, AdvancesByOne) {
  const Stream stream;
  const Guarded<int64_t> counter(std::vector<int64_t>{(int64_t{1} << 40) - 1}, stream);
  cuda::advance_counter(counter.data(), stream);
  cuda::advance_counter(counter.data(), stream);
  EXPECT_EQ(counter.values(stream), (std::vector<int64_t>{(int64_t{1} << 40) + 1}));
}

}  // namespace
}  // namespace ddpm
