// Tests that need a GPU: plans are measured, cached and reused with the same bits, and fused plans add bias
// and residual correctly.
#include "runtime/library/cuda_library_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <vector>

#include "kernels/reference/reference.h"
#include "runtime/library/convolution_plan.h"
#include "tests/kernels/cuda/kernel_test.h"
#include "tests/runtime/library/library_under_test.h"

namespace ddpm {
namespace {

constexpr Conv2dShape kConvolution{.n = 8, .h = 16, .w = 16, .c = 64, .k = 64, .weight_channels = 64};
constexpr LinearParams kLinear{.n = 128, .in = 256, .out = 512};

// One convolution and one linear layer.
Program small_program() {
  Program program;
  for (const char* name : {"x", "weight", "y", "lx", "lweight", "ly"})
    program.add_buffer(name, {1}, Role::kState);
  program.add("conv", Phase::kForward, Conv2d{kConvolution, 0, 1, kNoBuffer, kNoBuffer, 2});
  program.add("linear", Phase::kForward, Linear{kLinear, 3, 4, kNoBuffer, kNoBuffer, 5});
  return program;
}

// The values of both outputs.
std::vector<std::vector<double>> run(const CudaLibraryOptions& options) {
  const Stream stream;
  using reference::random_values;
  const auto input = [&](int64_t count, uint32_t seed) {
    return Guarded<BFloat16>(rounded<BFloat16>(random_values(count, seed)), stream);
  };
  const auto x = input(kConvolution.x_elements(), 1), weight = input(kConvolution.weight_elements(), 2),
             lx = input(kLinear.n * kLinear.in, 3), lweight = input(kLinear.out * kLinear.in, 4);
  const Guarded<BFloat16> y(kConvolution.y_elements(), stream), ly(kLinear.n * kLinear.out, stream);
  run_lowered<BFloat16>(
      small_program(), *make_cuda_library(options),
      {{0, x.data()}, {1, weight.data()}, {2, y.data()}, {3, lx.data()}, {4, lweight.data()}, {5, ly.data()}},
      stream);
  return {widened(y.values(stream)), widened(ly.values(stream))};
}

TEST(CudaLibrary, ReusesMeasuredPlansBitForBit) {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("ddpm-plans-" + std::to_string(::getpid()) + ".json");
  std::vector<std::string> log;
  CudaLibraryOptions options;
  options.plan_cache = file;
  options.log = [&](const std::string& line) { log.push_back(line); };
  const auto first = run(options);
  EXPECT_TRUE(std::filesystem::exists(file));
  EXPECT_THAT(log, testing::ElementsAre(
                       "autotuning 2 convolutions and GEMMs on this GPU (kept in " + file.string() + ")",
                       testing::AllOf(testing::StartsWith("prepared 2 convolutions and GEMMs: "),
                                      testing::Not(testing::HasSubstr("refused")))));
  log.clear();
  const auto written = std::filesystem::last_write_time(file);
  EXPECT_EQ(run(options), first);
  EXPECT_EQ(std::filesystem::last_write_time(file), written) << "a plan was measured again";
  EXPECT_TRUE(log.empty());
  std::filesystem::remove(file);
}

// Which of them is taken is measured; so each must be right.
TEST(CudaLibrary, EveryFusedPlanAddsBiasAndResidual) {
  using T = BFloat16;
  const Stream stream;
  const CudnnHandle handle;
  DDPM_CUDNN_CHECK(cudnnSetStream(handle.get(), StreamView(stream).get()));
  const ConvolutionProblem fused{.shape = kConvolution, .bias = true, .residual = true};
  const auto values = [](int64_t count, uint32_t seed) {
    return rounded<T>(reference::random_values(count, seed));
  };
  const auto x = values(kConvolution.x_elements(), 1), w = values(kConvolution.weight_elements(), 2),
             bias = values(kConvolution.k, 3), residual = values(kConvolution.y_elements(), 4);
  std::vector<double> expected(static_cast<size_t>(kConvolution.y_elements()));
  reference::conv2d<double>(kConvolution, {widened(x).data(), widened(w).data(), widened(bias).data(),
                                           widened(residual).data(), expected.data()});
  const Guarded<T> dx(x, stream), dw(w, stream), dbias(bias, stream), dresidual(residual, stream);
  const std::vector<ConvolutionPlan> plans = convolution_plans(CudnnDevice::present(handle.get()), fused);
  EXPECT_FALSE(plans.empty());
  for (const ConvolutionPlan& plan : plans) {
    SCOPED_TRACE(plan.tag());
    const Guarded<T> y(kConvolution.y_elements(), stream);
    const DeviceBuffer<std::byte> workspace(static_cast<size_t>(plan.workspace_bytes()));
    plan.run(handle.get(), {dx.data(), dw.data(), y.data(), dbias.data(), dresidual.data()},
             workspace.data());
    // One rounding of the sum, and 9 C float additions of products below 1.
    constexpr double kTerms = 9.0 * kConvolution.c;
    expect_within("fused convolution", widened(y.values(stream)), expected, [&](size_t i) {
      return std::abs(expected[i]) * unit_roundoff<T>() + kTerms * kTerms * 0x1p-24;
    });
  }
}

TEST(CudaLibrary, UnpreparedOperationIsALogicError) {
  const Stream stream;
  const auto library = make_cuda_library({.choice = PlanChoice::kFirstProposed, .plan_cache = {}});
  library->prepare({.convolutions = {{.shape = kConvolution}}, .gemms = {}}, stream);
  Conv2dShape other = kConvolution;
  other.n = 9;
  EXPECT_NO_THROW(library->bind(ConvolutionProblem{.shape = kConvolution}, {}));
  EXPECT_THROW(library->bind(ConvolutionProblem{.shape = other}, {}), LogicError);
}

}  // namespace
}  // namespace ddpm
