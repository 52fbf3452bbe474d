// Choosing the form of upsampling convolutions with a fake timer, emulated kernels and plain loops.
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

const UpsampleForms kOpen;
constexpr UpsampleConv2dShape kSmall{.n = 2, .h = 2, .w = 2, .c = 8, .k = 8};
constexpr UpsampleConv2dShape kLarge{.n = 2, .h = 4, .w = 4, .c = 8, .k = 4};

// What plain loops cannot have: a clock, which says that the folded form takes a second, and the other what
// the test chose for the layer.
class MeasuringLibrary final : public VendorLibrary {
 public:
  MeasuringLibrary(PlanCache& cache, std::map<std::string, double> seconds_of_nearest)
      : cache_(cache), seconds_of_nearest_(std::move(seconds_of_nearest)) {}

  void prepare(const LibraryProblems& problems, StreamView stream) override {
    prepared.push_back(problems);
    plain_.prepare(problems, stream);
  }
  bool fuses(const ConvolutionProblem& fused) const override { return plain_.fuses(fused); }
  bool fuses(const GemmProblem& fused) const override { return plain_.fuses(fused); }
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
  LaunchFunction bind(const ConvolutionProblem& problem, const ConvolutionTensors& tensors) override {
    return [this, problem, launch = plain_.bind(problem, tensors)](StreamView stream) {
      directions.push_back(problem.direction);
      launch(stream);
    };
  }
  LaunchFunction bind(const GemmProblem& problem, const GemmTensors& tensors) override {
    return plain_.bind(problem, tensors);
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

BufferId add(Program& program, const char* name, int64_t elements) {
  return program.add_buffer(name, {elements}, Role::kState);
}

// Layers of both shapes, the small one twice; the backward passes too where wanted.
Program upsampling_program(bool with_gradients) {
  Program program;
  for (const UpsampleConv2dShape& s : {kSmall, kLarge, kSmall}) {
    const Conv2dShape full = s.upsampled();
    const BufferId x = add(program, "x", x_elements(s)), w = add(program, "w", full.weight_elements()),
                   bias = add(program, "bias", s.k), y = add(program, "y", full.y_elements());
    program.add("layer", Phase::kForward, UpsampleConv2d{s, x, w, bias, y});
    if (!with_gradients) continue;
    const BufferId dx = add(program, "dx", x_elements(s)), dy = add(program, "dy", full.y_elements()),
                   dw = add(program, "dw", full.weight_elements()), dbias = add(program, "dbias", s.k);
    program.add("layer", Phase::kBackward, UpsampleConv2dBackwardWeight{s, x, dy, dw, dbias});
    program.add("layer", Phase::kBackward, UpsampleConv2dBackwardData{s, dy, w, kNoBuffer, dx});
  }
  return program;
}

TEST(UpsampleChoice, IsPerShapeByTheTimeOfAllPasses) {
  const Stream stream;
  PlanCache cache("");
  MeasuringLibrary primitives(cache, {{"2x4x4x8", 0.5}});
  const UpsampleForms chosen =
      choose_upsample_forms<BFloat16>(upsampling_program(true), kOpen, primitives, stream);
  EXPECT_EQ(chosen.of(kSmall), UpsampleForm::kFolded);
  EXPECT_EQ(chosen.of(kLarge), UpsampleForm::kNearest);
  // Each shape once, by all three passes in both forms.
  EXPECT_THAT(primitives.measured, ElementsAre(HasSubstr("2x2x2x8"), HasSubstr("2x4x4x8")));
  EXPECT_THAT(primitives.measured.front(),
              AllOf(HasSubstr(UpsampleConv2d::kKind), HasSubstr(UpsampleConv2dBackwardData::kKind),
                    HasSubstr(UpsampleConv2dBackwardWeight::kKind)));
  for (const auto direction : {ConvolutionDirection::kForward, ConvolutionDirection::kBackwardData,
                               ConvolutionDirection::kBackwardWeight})
    EXPECT_THAT(primitives.directions, testing::Contains(direction));
}

TEST(UpsampleChoice, IsSeparateForSampling) {
  const Stream stream;
  PlanCache cache("");
  MeasuringLibrary training(cache, {}), sampling(cache, {});
  choose_upsample_forms<float>(upsampling_program(true), kOpen, training, stream);
  choose_upsample_forms<float>(upsampling_program(false), kOpen, sampling, stream);
  EXPECT_EQ(sampling.measured.size(), 2u) << "it has other passes";
  EXPECT_THAT(sampling.measured.front(), testing::Not(HasSubstr("backward")));
}

// As a device prepares a program.
UpsampleForms prepare(const Program& program, MeasuringLibrary& library, StreamView stream) {
  UpsampleForms forms = choose_upsample_forms<float>(program, kOpen, library, stream);
  library.prepare(lower<float>(program, plan_memory(program, {}), forms).problems(), stream);
  return forms;
}

TEST(UpsampleChoice, IsCachedAndThenOnlyOneFormIsPrepared) {
  const Stream stream;
  PlanCache cache("");
  const Program program = upsampling_program(true);
  MeasuringLibrary measuring(cache, {{"upsampling", 0.5}});
  EXPECT_EQ(prepare(program, measuring, stream).of(kSmall), UpsampleForm::kNearest);
  ASSERT_EQ(measuring.prepared.size(), 2u) << "both forms to measure them, then what was chosen";
  EXPECT_GT(measuring.prepared[0].convolutions.size(), measuring.prepared[1].convolutions.size());

  MeasuringLibrary knowing(cache, {});
  EXPECT_EQ(prepare(program, knowing, stream).of(kSmall), UpsampleForm::kNearest);
  EXPECT_TRUE(knowing.measured.empty());
  ASSERT_EQ(knowing.prepared.size(), 1u);
  EXPECT_EQ(knowing.prepared[0].convolutions, measuring.prepared[1].convolutions);
}

TEST(UpsampleChoice, FollowsTheUser) {
  const Stream stream;
  PlanCache cache("");
  for (const UpsampleForm form : {UpsampleForm::kFolded, UpsampleForm::kNearest}) {
    MeasuringLibrary primitives(cache, {});
    const UpsampleForms chosen =
        choose_upsample_forms<float>(upsampling_program(true), UpsampleForms(form), primitives, stream);
    EXPECT_EQ(chosen.of(kSmall), form);
    EXPECT_TRUE(primitives.measured.empty());
  }
}

TEST(UpsampleChoice, IsFoldedWithoutMeasuring) {
  const Stream stream;
  PlainLibrary primitives;
  const UpsampleForms chosen =
      choose_upsample_forms<float>(upsampling_program(true), kOpen, primitives, stream);
  EXPECT_EQ(chosen.of(kSmall), UpsampleForm::kFolded);
}

}  // namespace
}  // namespace ddpm
