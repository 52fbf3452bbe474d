// The choice among measured candidates, with a clock of the test's.
#include "runtime/products/fastest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/runtime/products/fake_timer.h"

namespace ddpm {
namespace {

using testing::Optional;

// Candidates that all can run.
std::optional<size_t> choose(FakeTimer& timer, size_t candidates) {
  return fastest(
      candidates,
      [&](size_t i) {
        timer.current = i;
        return true;
      },
      timer);
}

TEST(Fastest, IsTheOneWithTheLeastMedian) {
  // The second has the fastest single run and the least mean; the third the least median.
  FakeTimer timer({{0, {5}}, {1, {4, 1, 4, 4, 4}}, {2, {3, 9, 3, 3, 9}}});
  EXPECT_THAT(choose(timer, 3), Optional(2u));
}

TEST(Fastest, IsTheFirstOfEquals) {
  FakeTimer timer({{0, {2}}, {1, {2}}, {2, {3}}});
  EXPECT_THAT(choose(timer, 3), Optional(0u));
}

TEST(Fastest, GivesUpWhatIsFarBehindAfterOneRun) {
  FakeTimer timer({{0, {2}}, {1, {3.1, 1}}, {2, {2.9, 1}}});
  EXPECT_THAT(choose(timer, 3), Optional(2u));
  EXPECT_EQ(timer.runs[1], 1);
  EXPECT_GT(timer.runs[2], 1);
}

TEST(Fastest, PassesOverWhatCannotRun) {
  FakeTimer timer(std::map<size_t, std::vector<double>>{{1, {2}}});
  const auto run = [&](size_t i) {
    timer.current = i;
    return i == 1;
  };
  EXPECT_THAT(fastest(3, run, timer), Optional(1u));
  EXPECT_EQ(fastest(1, run, timer), std::nullopt);
  EXPECT_EQ(fastest(0, run, timer), std::nullopt);
}

}  // namespace
}  // namespace ddpm
