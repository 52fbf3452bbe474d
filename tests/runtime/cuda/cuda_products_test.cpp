// What only a GPU can show: that plans are measured, kept and taken again, and that both give the same bits.
#include "runtime/cuda/cuda_products.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <vector>

#include "runtime/products/layers.h"
#include "tests/kernels/cuda/kernel_test.h"

namespace ddpm {
namespace {

constexpr Conv2dShape kConvolution{.n = 8, .h = 16, .w = 16, .c = 64, .k = 64, .weight_channels = 64};
constexpr LinearShape kLinear{.n = 128, .in = 256, .out = 512};

// One convolution and one linear layer.
Program small_program() {
  Program program;
  for (const char* name : {"x", "weight", "y", "lx", "lweight", "ly"}) program.add_buffer(name, {1});
  program.add("conv", Phase::kForward, Conv2d{kConvolution, 0, 1, kNoBuffer, kNoBuffer, 2});
  program.add("linear", Phase::kForward, Linear{kLinear, 3, 4, kNoBuffer, kNoBuffer, 5});
  return program;
}

// The bytes of both outputs.
std::vector<std::vector<double>> run(const CudaProductsOptions& options) {
  const Stream stream;
  ComposedProducts<BFloat16> products = make_cuda_products<BFloat16>(options);
  products.prepare(small_program(), stream);
  using reference::random_values;
  const auto input = [&](int64_t count, uint32_t seed) {
    return Guarded<BFloat16>(rounded<BFloat16>(random_values(count, seed)), stream);
  };
  const auto x = input(kConvolution.x_elements(), 1), weight = input(kConvolution.weight_elements(), 2),
             lx = input(kLinear.n * kLinear.in, 3), lweight = input(kLinear.out * kLinear.in, 4);
  const Guarded<BFloat16> y(kConvolution.y_elements(), stream), ly(kLinear.n * kLinear.out, stream);
  ProductRun conv = products.layer(stream);
  composed::conv2d<BFloat16>(conv, kConvolution, {x.data(), weight.data(), nullptr, nullptr, y.data()});
  ProductRun linear = products.layer(stream);
  composed::linear<BFloat16>(linear, kLinear, {lx.data(), lweight.data(), nullptr, nullptr, ly.data()});
  return {widened(y.values(stream)), widened(ly.values(stream))};
}

TEST(CudaProducts, TakesMeasuredPlansAgainAndGivesTheSameBits) {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("ddpm-plans-" + std::to_string(::getpid()) + ".json");
  std::vector<std::string> log;
  const CudaProductsOptions options{.plan_cache = file,
                                    .log = [&](const std::string& line) { log.push_back(line); }};
  const auto first = run(options);
  EXPECT_TRUE(std::filesystem::exists(file));
  const auto written = std::filesystem::last_write_time(file);
  EXPECT_EQ(run(options), first);
  EXPECT_EQ(std::filesystem::last_write_time(file), written) << "a plan was measured again";
  EXPECT_TRUE(log.empty());
  std::filesystem::remove(file);
}

TEST(CudaProducts, AnOperationThatWasNotMadeReadyIsADefect) {
  const Stream stream;
  ComposedProducts<BFloat16> products =
      make_cuda_products<BFloat16>({.choice = PlanChoice::kFirstProposed, .plan_cache = {}});
  products.prepare(small_program(), stream);
  Conv2dShape other = kConvolution;
  other.n = 9;
  ProductRun steps = products.layer(stream);
  EXPECT_THROW(composed::conv2d<BFloat16>(steps, other, {}), LogicError);
}

}  // namespace
}  // namespace ddpm
