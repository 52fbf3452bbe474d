// Choosing the fastest candidate, with a fake timer.
#include "runtime/library/race.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/runtime/library/fake_timer.h"

namespace ddpm {
namespace {

using testing::ElementsAre;
using testing::Eq;
using testing::Optional;

// The measured time of each candidate.
std::vector<std::optional<double>> race(FakeTimer& timer, size_t candidates) {
  Race race(timer);
  std::vector<std::optional<double>> seconds;
  for (size_t i = 0; i < candidates; ++i)
    seconds.push_back(race.measure([&] {
      timer.current = i;
      return true;
    }));
  return seconds;
}

TEST(Race, RanksByMedian) {
  // The second has the fastest single run and the smallest mean, the third the smallest median.
  FakeTimer timer({{0, {5}}, {1, {4, 1, 4, 4, 4}}, {2, {3, 9, 3, 3, 9}}});
  EXPECT_THAT(race(timer, 3), ElementsAre(Optional(5.0), Optional(4.0), Optional(3.0)));
}

TEST(Race, DropsSlowCandidatesAfterOneRun) {
  FakeTimer timer({{0, {2}}, {1, {3.1, 1}}, {2, {2.9, 1}}});
  EXPECT_THAT(race(timer, 3), ElementsAre(Optional(2.0), Optional(3.1), Optional(1.0)));
  EXPECT_EQ(timer.runs[1], 1);
  EXPECT_GT(timer.runs[2], 1);
}

TEST(Race, SkipsCandidatesThatCannotRun) {
  FakeTimer timer(std::map<size_t, std::vector<double>>{{1, {2}}});
  Race race(timer);
  EXPECT_THAT(race.measure([] { return false; }), Eq(std::nullopt));
  EXPECT_THAT(race.measure([&] {
    timer.current = 1;
    return true;
  }),
              Optional(2.0));
}

}  // namespace
}  // namespace ddpm
