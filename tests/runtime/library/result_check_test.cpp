// The check that detects wrong plans: with made-up outcomes, and with plain loops in the emulator whose
// results are corrupted on purpose.
#include "runtime/library/result_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "runtime/gpu/plain_library.h"
#include "runtime/library/trial_values.h"
#include "tests/kernels/cuda/kernel_test.h"

namespace ddpm {
namespace {

using testing::HasSubstr;
using testing::Optional;

TEST(SampledElements, TakeAllOfAFew) {
  const std::array<int64_t, 2> extents{3, 4};
  EXPECT_EQ(sampled_elements(extents, 12).size(), 12u);
  EXPECT_EQ(sampled_elements(extents, 12).back(), 11);
}

TEST(SampledElements, CoverCornersEdgesAndTheInterior) {
  const std::array<int64_t, 4> extents{16, 32, 24, 64};
  const std::vector<int64_t> elements = sampled_elements(extents, 4096);
  EXPECT_GT(elements.size(), 3000u);  // minus duplicates, mostly corners
  EXPECT_LE(elements.size(), 4096u);
  EXPECT_EQ(elements, sampled_elements(extents, 4096)) << "a fixed rule";
  const std::set<int64_t> chosen(elements.begin(), elements.end());
  EXPECT_EQ(chosen.size(), elements.size());
  std::array<int, 5> by_ends{};  // elements by the number of axes at whose end they are
  for (const int64_t element : elements) {
    int64_t rest = element;
    int ends = 0;
    for (size_t axis = extents.size(); axis-- > 0;) {
      const int64_t coordinate = rest % extents[axis];
      rest /= extents[axis];
      if (coordinate == 0 || coordinate == extents[axis] - 1) ++ends;
    }
    ASSERT_EQ(rest, 0) << "outside the array";
    ++by_ends[static_cast<size_t>(ends)];
  }
  EXPECT_EQ(by_ends[4], 16) << "all corners";
  for (int ends = 0; ends < 4; ++ends) EXPECT_GT(by_ends[static_cast<size_t>(ends)], 100) << ends;
}

// The fraction of equal elements.
double alike(std::span<const BFloat16> a, std::span<const BFloat16> b) {
  size_t count = 0;
  for (size_t i = 0; i < b.size(); ++i)
    if (to_float(a[i]) == to_float(b[i])) ++count;
  return static_cast<double>(count) / static_cast<double>(b.size());
}

// Otherwise the check would see sums of squares and repeated images, and accept a plan that mixes them up.
TEST(TrialValues, DifferBetweenTensorsAndImages) {
  constexpr size_t kElements = size_t{9} << 20, kPowerOfTwo = size_t{1} << 22;
  const Stream stream;
  const TrialValues values(2 * kElements, stream);
  std::vector<DeviceBuffer<std::byte>> tensors;
  std::vector<std::span<const BFloat16>> seen;
  for (size_t i = 0; i < 3; ++i) {
    tensors.emplace_back(2 * kElements);
    values.fill(tensors.back().span(), stream, i);
    seen.emplace_back(reinterpret_cast<const BFloat16*>(tensors.back().data()), kElements);
  }
  stream.synchronize();
  // Two random bf16 values are equal one time in 700.
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_LT(alike(seen[i], seen[(i + 1) % 3]), 0.01) << i;
    EXPECT_LT(alike(seen[i], seen[i].subspan(kPowerOfTwo)), 0.01) << i;
    EXPECT_TRUE(std::all_of(seen[i].begin(), seen[i].end(), [](BFloat16 value) {
      return std::abs(to_float(value)) <= 1;
    })) << i;
  }
}

// Rounds to float toward zero.
float cut_off(double value) {
  const auto nearest = static_cast<float>(value);
  return std::abs(static_cast<double>(nearest)) > std::abs(value) ? std::nextafter(nearest, 0.f) : nearest;
}

// The weight gradient of a 1x1 convolution as tensor cores compute it without splitting the sum: 8 terms
// at a time, each sum truncated to float. If both tensors were the same, its diagonal would exceed the
// bound by half.
TEST(TrialValues, TruncatedLongSumsStayWithinTheBound) {
  constexpr size_t kChannels = 256, kPixels = 32768, kBlock = 8;
  const Stream stream;
  const TrialValues values(2 * kPixels * kChannels, stream);
  const DeviceBuffer<std::byte> a(2 * kPixels * kChannels), b(2 * kPixels * kChannels);
  values.fill(a.span(), stream, 0);
  values.fill(b.span(), stream, 1);
  stream.synchronize();
  const auto* x = reinterpret_cast<const BFloat16*>(a.data());
  const auto* dy = reinterpret_cast<const BFloat16*>(b.data());
  for (size_t channel = 0; channel < kChannels; channel += 17) {
    float sum = 0;
    SampledElement exact{};
    for (size_t begin = 0; begin < kPixels; begin += kBlock) {
      double block = 0;
      for (size_t pixel = begin; pixel < begin + kBlock; ++pixel) {
        const size_t at = pixel * kChannels + channel;
        const double term = static_cast<double>(to_float(x[at])) * to_float(dy[at]);
        block += term;
        exact.magnitude += std::abs(term);
      }
      exact.product += block;
      sum = cut_off(sum + block);
    }
    const double bound = sample_bound(exact, {.terms = kPixels, .storage_roundoff = 0x1p-24});
    EXPECT_LT(std::abs(sum - exact.product), bound / 4) << "channel " << channel;
  }
}

// ---- The rule, on made-up outcomes

const std::vector<SampledElement> kExpected = {{10, 40, 0}, {-3, 50, 1}};

// Returns the outcomes one after the other.
std::function<std::optional<PlanOutcome>()> giving(std::vector<std::optional<PlanOutcome>> outcomes) {
  return [outcomes, next = size_t{0}]() mutable { return outcomes.at(next++); };
}

std::optional<std::string> fault_of(std::vector<std::optional<PlanOutcome>> outcomes,
                                    SampleTolerance tolerance = {}) {
  return find_fault(giving(std::move(outcomes)), kExpected, tolerance);
}

TEST(FindFault, AcceptsACorrectPlan) {
  EXPECT_EQ(fault_of({{{7, {10, -2}}}, {{7, {10, -2}}}}), std::nullopt);
  // Half a unit in the last place of bf16.
  EXPECT_EQ(fault_of({{{7, {10 * (1 + 0x1p-9), -2}}}, {{7, {10 * (1 + 0x1p-9), -2}}}}), std::nullopt);
}

TEST(FindFault, NamesTheWrongElement) {
  EXPECT_THAT(fault_of({{{7, {10, -3}}}, {{7, {10, -3}}}}),
              Optional(HasSubstr("expected -2 +- 0.02, got -3")));
  EXPECT_THAT(fault_of({{{7, {NAN, -2}}}, {{7, {NAN, -2}}}}), Optional(HasSubstr("sample 1 of 2")));
  EXPECT_THAT(fault_of({{{7, {INFINITY, -2}}}}), Optional(HasSubstr("inf")));
}

TEST(FindFault, DetectsRunsThatDiffer) {
  EXPECT_THAT(fault_of({{{7, {10, -2}}}, {{8, {10, -2}}}}), Optional(HasSubstr("differ")));
}

TEST(FindFault, DetectsAPlanThatDoesNotRun) {
  EXPECT_THAT(fault_of({std::nullopt}), Optional(HasSubstr("rejects it")));
  EXPECT_NE(fault_of({{{7, {10, -2}}}, std::nullopt}), std::nullopt);
}

TEST(SampleBound, CountsStorageAndSummationRoundings) {
  EXPECT_DOUBLE_EQ(sample_bound({10, 40, 0}, {.terms = 1, .storage_roundoff = 0x1p-8}),
                   20 * 0x1p-8 + 8 * 40 * 0x1p-24);
  EXPECT_DOUBLE_EQ(sample_bound({-3, 50, 1}, {.terms = 100, .storage_roundoff = 0}), 80 * 51 * 0x1p-24);
  // A sum of TF32 products would be off by about 2^-11 times the root of the sum of squares.
  const double tf32 = 0x1p-11 * std::sqrt(1152.0) / 3;
  EXPECT_LT(sample_bound({20, 288, 0}, {.terms = 1152, .storage_roundoff = 0x1p-24}), 2 * tf32);
}

// ---- On device memory, with plain loops

// A problem's tensors, filled like those of trials, with plain loops as the library.
class Trial {
 public:
  explicit Trial(const ConvolutionProblem& problem)
      : problems_{.convolutions = {problem}, .gemms = {}}, values_(1 << 16, stream_) {
    const Conv2dShape& s = problem.shape;
    const int bytes = element_bytes(problem.type);
    for (const int64_t elements :
         {s.x_elements(), s.weight_elements(), s.y_elements(), s.y_elements(), int64_t{s.k}})
      tensors_.emplace_back(static_cast<size_t>(elements * bytes));
    plain_.prepare(problems_, stream_);
    output_ = problem.direction == ConvolutionDirection::kForward        ? 2
              : problem.direction == ConvolutionDirection::kBackwardData ? 0
                                                                         : 1;
  }
  explicit Trial(const GemmProblem& problem)
      : problems_{.convolutions = {}, .gemms = {problem}}, values_(1 << 16, stream_), output_(2) {
    for (int i = 0; i < 5; ++i) tensors_.emplace_back(size_t{1} << 14);
    plain_.prepare(problems_, stream_);
  }

  // after_run(output, index of the run) may corrupt the result.
  using AfterRun = std::function<void(std::span<std::byte> output, int run)>;
  std::optional<std::string> find_fault(const AfterRun& after_run = {}) {
    renew();
    int runs = 0;
    return check().find_fault([&] {
      renew();
      compute();
      const DeviceSpan<std::byte> output = tensors_[output_].span();
      if (after_run) after_run({output.data(), output.size()}, runs++);
      return true;
    });
  }

 private:
  void renew() {
    size_t count = 0;
    for (const DeviceBuffer<std::byte>& tensor : tensors_) values_.fill(tensor.span(), stream_, count++);
  }
  ConvolutionTensors convolution_tensors() const {
    const ConvolutionProblem& p = problems_.convolutions[0];
    return {.x = tensors_[0].data(),
            .w = tensors_[1].data(),
            .y = tensors_[2].data(),
            .bias = p.bias ? tensors_[4].data() : nullptr,
            .residual = p.residual ? tensors_[3].data() : nullptr};
  }
  GemmTensors gemm_tensors() const {
    return {.a = tensors_[0].data(),
            .b = tensors_[1].data(),
            .c = tensors_[3].data(),
            .bias = tensors_[4].data(),
            .d = tensors_[2].data()};
  }
  ResultCheck check() const {
    if (!problems_.gemms.empty()) return {problems_.gemms[0], gemm_tensors(), stream_};
    return {problems_.convolutions[0], convolution_tensors(), stream_};
  }
  void compute() {
    for (const ConvolutionProblem& problem : problems_.convolutions)
      plain_.bind(problem, convolution_tensors())(stream_);
    for (const GemmProblem& problem : problems_.gemms) plain_.bind(problem, gemm_tensors())(stream_);
  }

  Stream stream_;
  LibraryProblems problems_;
  TrialValues values_;
  std::vector<DeviceBuffer<std::byte>> tensors_;  // x or a, w or b, y or d, a residual or c, bias
  size_t output_;
  PlainLibrary plain_;
};

std::vector<ConvolutionProblem> convolution_problems() {
  const Conv2dShape plain{.n = 2, .h = 5, .w = 4, .c = 6, .k = 4, .weight_channels = 6};
  const Conv2dShape strided{
      .n = 2, .h = 6, .w = 6, .c = 4, .k = 6, .stride = 2, .pad_before = 0, .weight_channels = 4};
  std::vector<ConvolutionProblem> problems;
  for (const ElementType type : {ElementType::kFloat, ElementType::kBfloat16}) {
    for (const Conv2dShape& shape : {plain, strided})
      for (const auto direction : {ConvolutionDirection::kForward, ConvolutionDirection::kBackwardData,
                                   ConvolutionDirection::kBackwardWeight})
        for (const bool accumulate : {false, true})
          problems.push_back(
              {.shape = shape, .direction = direction, .type = type, .accumulate = accumulate});
    problems.push_back({.shape = plain, .type = type, .bias = true});
    problems.push_back({.shape = plain, .type = type, .bias = true, .residual = true});
  }
  return problems;
}

std::vector<GemmProblem> matrix_problems() {
  std::vector<GemmProblem> problems;
  for (const float beta : {0.0F, 1.0F})
    for (const ElementType output : {ElementType::kFloat, ElementType::kBfloat16})
      problems.push_back(
          {.m = 5,
           .n = 6,
           .k = 7,
           .a = {.leading_dimension = 5, .transpose = Transpose::kYes, .begin = 8, .batch_stride = 40},
           .b = {.leading_dimension = 9, .batch_stride = 64},
           .d = {.leading_dimension = 8, .begin = 2, .batch_stride = 50},
           .batch = 2,
           .input = ElementType::kBfloat16,
           .output = output,
           .alpha = 0.5F,
           .beta = beta,
           .bias = beta == 0});
  return problems;
}

template <typename Problem>
void expect_that_faults_are_found(const Problem& problem, ElementType type, size_t computed_element) {
  SCOPED_TRACE(to_string(problem));
  EXPECT_EQ(Trial(problem).find_fault(), std::nullopt);
  // Flips the sign and the top exponent bit of one output element of either type.
  const auto spoil = [&](std::span<std::byte> output) {
    const size_t bytes = static_cast<size_t>(element_bytes(type));
    output[computed_element * bytes + bytes - 1] ^= std::byte{0xC0};
  };
  EXPECT_THAT(Trial(problem).find_fault([&](std::span<std::byte> output, int) { spoil(output); }),
              Optional(HasSubstr("expected")));
  // Flips the last bit of one element, only in the second run.
  const auto differ = [&](std::span<std::byte> output, int run) {
    if (run == 1) output[computed_element * static_cast<size_t>(element_bytes(type))] ^= std::byte{1};
  };
  EXPECT_THAT(Trial(problem).find_fault(differ), Optional(HasSubstr("differ")));
}

TEST(ResultCheck, DetectsFaultyConvolutions) {
  for (const ConvolutionProblem& problem : convolution_problems())
    expect_that_faults_are_found(problem, problem.type, 3);
}

TEST(ResultCheck, DetectsFaultyMatrixProducts) {
  for (const GemmProblem& problem : matrix_problems())
    expect_that_faults_are_found(problem, problem.output, 2 + 8 + 3);  // the second row of the first matrix
}

// A library that forgets to add the residual.
TEST(ResultCheck, DetectsAMissingResidual) {
  ConvolutionProblem problem = convolution_problems().back();
  ConvolutionProblem forgetful = problem;
  forgetful.residual = false;
  const Stream stream;
  PlainLibrary plain;
  plain.prepare({.convolutions = {problem, forgetful}, .gemms = {}}, stream);
  const Conv2dShape& s = problem.shape;
  const TrialValues values(1 << 14, stream);
  std::vector<DeviceBuffer<std::byte>> tensors;
  for (const int64_t elements :
       {s.x_elements(), s.weight_elements(), s.y_elements(), int64_t{s.k}, s.y_elements()}) {
    tensors.emplace_back(static_cast<size_t>(2 * elements));
    values.fill(tensors.back().span(), stream, tensors.size() - 1);
  }
  const ConvolutionTensors at{tensors[0].data(), tensors[1].data(), tensors[2].data(), tensors[3].data(),
                              tensors[4].data()};
  const ResultCheck check(problem, at, stream);
  const auto fault_of_computing = [&](const ConvolutionProblem& computed) {
    return check.find_fault([&] {
      plain.bind(computed, at)(stream);
      return true;
    });
  };
  EXPECT_EQ(fault_of_computing(problem), std::nullopt);
  EXPECT_THAT(fault_of_computing(forgetful), Optional(HasSubstr("expected")));
}

}  // namespace
}  // namespace ddpm
