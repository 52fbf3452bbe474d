// In which form upsampling convolutions are computed, by a clock of the test's, with the emulated kernels
// between plain loops.
#include "runtime/library/upsample_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/gpu/plain_library.h"
#include "runtime/library/autotuner.h"
#include "tests/runtime/library/fake_timer.h"

namespace ddpm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

const UpsampleForms kOpen{LoweringOptions{}};
constexpr UpsampleConv2dShape kSmall{.n = 2, .h = 2, .w = 2, .c = 8, .k = 8};
constexpr UpsampleConv2dShape kLarge{.n = 2, .h = 4, .w = 4, .c = 8, .k = 4};

// What plain loops cannot have: a clock, which says that the folded form takes a second, and the other what
// the test chose for the layer.
class MeasuringPrimitives final : public VendorLibrary {
 public:
  MeasuringPrimitives(PlanCache& cache, std::map<std::string, double> seconds_of_nearest)
      : cache_(cache), seconds_of_nearest_(std::move(seconds_of_nearest)) {}

  void prepare(const LibraryProblems& problems, StreamView stream) override {
    prepared.push_back(problems);
    plain_.prepare(problems, stream);
  }
  bool fuses(const ConvolutionProblem& wish) const override { return plain_.fuses(wish); }
  bool fuses(const GemmProblem& wish) const override { return plain_.fuses(wish); }
  bool measures() const override { return true; }
  std::optional<size_t> known_way(const Ways& ways) const override { return kept_way(ways, cache_); }
  size_t fastest_way(const Ways& ways, const std::function<void(size_t)>& run, StreamView) override {
    measured.push_back(ways.key);
    double nearest = 2;
    for (const auto& [part, seconds] : seconds_of_nearest_)
      if (ways.key.find(part) != std::string::npos) nearest = seconds;
    FakeTimer timer({{0, {1}}, {1, {nearest}}});
    PlanStatistics statistics;
    return choose_way(ways,
                      [&](size_t way) {
                        timer.current = way;
                        run(way);
                      },
                      {cache_, &timer, statistics});
  }
  void convolution(const ConvolutionProblem& problem, const ConvolutionTensors& tensors,
                   StreamView stream) override {
    directions.push_back(problem.direction);
    plain_.convolution(problem, tensors, stream);
  }
  void gemm(const GemmProblem& problem, const GemmTensors& tensors, StreamView stream) override {
    plain_.gemm(problem, tensors, stream);
  }

  std::vector<LibraryProblems> prepared;
  std::vector<std::string> measured;
  std::vector<ConvolutionDirection> directions;

 private:
  PlanCache& cache_;
  std::map<std::string, double> seconds_of_nearest_;
  PlainLibrary plain_;
};

int64_t x_elements(const UpsampleConv2dShape& s) { return s.upsampled().x_elements() / 4; }

// Layers of both shapes, the small one twice; the backward passes too where wanted.
Program upsampling_program(bool with_gradients) {
  Program program;
  for (const UpsampleConv2dShape& s : {kSmall, kLarge, kSmall}) {
    const Conv2dShape full = s.upsampled();
    const BufferId x = program.add_buffer("x", {x_elements(s)}),
                   w = program.add_buffer("w", {full.weight_elements()}),
                   bias = program.add_buffer("bias", {s.k}), y = program.add_buffer("y", {full.y_elements()});
    program.add("layer", Phase::kForward, UpsampleConv2d{s, x, w, bias, y});
    if (!with_gradients) continue;
    const BufferId dx = program.add_buffer("dx", {x_elements(s)}),
                   dy = program.add_buffer("dy", {full.y_elements()}),
                   dw = program.add_buffer("dw", {full.weight_elements()}),
                   dbias = program.add_buffer("dbias", {s.k});
    program.add("layer", Phase::kBackward, UpsampleConv2dBackwardWeight{s, x, dy, dw, dbias});
    program.add("layer", Phase::kBackward, UpsampleConv2dBackwardData{s, dy, w, kNoBuffer, dx});
  }
  return program;
}

TEST(UpsampleChoice, IsMadeForEachShapeByTheTimeOfAllItsPasses) {
  const Stream stream;
  PlanCache cache("");
  MeasuringPrimitives primitives(cache, {{"2x4x4x8", 0.5}});
  const UpsampleForms chosen =
      choose_upsample_forms<BFloat16>(upsampling_program(true), kOpen, primitives, stream);
  EXPECT_EQ(chosen.of(kSmall), UpsampleForm::kFolded);
  EXPECT_EQ(chosen.of(kLarge), UpsampleForm::kNearest);
  // Each once; by all three passes, in each form.
  EXPECT_THAT(primitives.measured, ElementsAre(HasSubstr("2x2x2x8"), HasSubstr("2x4x4x8")));
  EXPECT_THAT(primitives.measured.front(),
              AllOf(HasSubstr(UpsampleConv2d::kKind), HasSubstr(UpsampleConv2dBackwardData::kKind),
                    HasSubstr(UpsampleConv2dBackwardWeight::kKind)));
  for (const auto direction : {ConvolutionDirection::kForward, ConvolutionDirection::kBackwardData,
                               ConvolutionDirection::kBackwardWeight})
    EXPECT_THAT(primitives.directions, testing::Contains(direction));
}

TEST(UpsampleChoice, OfAProgramWithoutGradientsIsAnother) {
  const Stream stream;
  PlanCache cache("");
  MeasuringPrimitives training(cache, {}), sampling(cache, {});
  choose_upsample_forms<float>(upsampling_program(true), kOpen, training, stream);
  choose_upsample_forms<float>(upsampling_program(false), kOpen, sampling, stream);
  EXPECT_EQ(sampling.measured.size(), 2u) << "it is not the same sum of passes";
  EXPECT_THAT(sampling.measured.front(), testing::Not(HasSubstr("backward")));
}

TEST(UpsampleChoice, IsKeptAndThenNothingElseIsMadeReady) {
  const Stream stream;
  PlanCache cache("");
  const Program program = upsampling_program(true);
  auto first =
      std::make_unique<MeasuringPrimitives>(cache, std::map<std::string, double>{{"upsampling", 0.5}});
  const MeasuringPrimitives& measuring = *first;
  ComposedProducts<float> products(std::move(first), {});
  products.prepare(program, stream);
  EXPECT_EQ(products.options().of(kSmall), UpsampleForm::kNearest);
  ASSERT_EQ(measuring.prepared.size(), 2u) << "both forms to measure them, then what was chosen";
  EXPECT_GT(measuring.prepared[0].convolutions.size(), measuring.prepared[1].convolutions.size());

  auto second = std::make_unique<MeasuringPrimitives>(cache, std::map<std::string, double>{});
  const MeasuringPrimitives& knowing = *second;
  ComposedProducts<float> again(std::move(second), {});
  again.prepare(program, stream);
  EXPECT_TRUE(knowing.measured.empty());
  EXPECT_EQ(again.options().of(kSmall), UpsampleForm::kNearest);
  ASSERT_EQ(knowing.prepared.size(), 1u);
  EXPECT_EQ(knowing.prepared[0].convolutions, measuring.prepared[1].convolutions);
}

TEST(UpsampleChoice, OfTheUserHolds) {
  const Stream stream;
  PlanCache cache("");
  for (const UpsampleForm form : {UpsampleForm::kFolded, UpsampleForm::kNearest}) {
    MeasuringPrimitives primitives(cache, {});
    const UpsampleForms chosen = choose_upsample_forms<float>(
        upsampling_program(true), UpsampleForms({.upsample = form}), primitives, stream);
    EXPECT_EQ(chosen.of(kSmall), form);
    EXPECT_TRUE(primitives.measured.empty());
  }
}

TEST(UpsampleChoice, IsFoldedWhereNothingIsMeasured) {
  const Stream stream;
  PlainLibrary primitives;
  const UpsampleForms chosen =
      choose_upsample_forms<float>(upsampling_program(true), kOpen, primitives, stream);
  EXPECT_EQ(chosen.of(kSmall), UpsampleForm::kFolded);
}

}  // namespace
}  // namespace ddpm
