#include "support/progress_bar.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

namespace ddpm {
namespace {

ProgressOptions options() { return {.label = "training", .total = 1000, .first = 100, .items_per_step = 16}; }

TEST(ProgressLine, ShowsProgressRateAndEta) {
  // 300 steps of this run in 10 s: 480 images/s, and 600 steps more take 20 s.
  const std::string line =
      progress_line(options(), {.done = 400, .elapsed_s = 10, .detail = "loss 0.123"}, 100);
  EXPECT_THAT(line, testing::StartsWith("training [############"));
  EXPECT_THAT(line, testing::HasSubstr("]  40% 400/1000  loss 0.123  480 images/s  ETA 0:20"));
  EXPECT_LE(line.size(), 100U);
}

TEST(ProgressLine, FitsNarrowTerminals) {
  for (int width = 0; width < 100; ++width)
    EXPECT_LE(progress_line(options(), {.done = 400, .elapsed_s = 10, .detail = {}}, width).size(),
              static_cast<size_t>(width));
}

TEST(ProgressLine, StartAndEndDoNotDivideByZero) {
  EXPECT_THAT(progress_plain_line(options(), {.done = 100, .elapsed_s = 0, .detail = {}}),
              testing::Not(testing::HasSubstr("ETA")));
  EXPECT_THAT(progress_plain_line(options(), {.done = 1000, .elapsed_s = 3, .detail = {}}),
              testing::HasSubstr("100% 1000/1000  4,800 images/s"));
  EXPECT_THAT(progress_plain_line({.label = "empty", .total = 0}, {}), testing::HasSubstr("100% 0/0"));
}

TEST(FormatDuration, ShowsHoursOnlyWhenNeeded) {
  EXPECT_EQ(format_duration(7.4), "0:07");
  EXPECT_EQ(format_duration(754), "12:34");
  EXPECT_EQ(format_duration(3723), "1:02:03");
  EXPECT_EQ(format_duration(-1), "0:00");
}

// What a bar writes to a stream that is not a terminal.
std::string written(double plain_interval_s) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), std::fclose);
  {
    ProgressBar bar({.label = "job", .total = 3, .plain_interval_s = plain_interval_s}, file.get());
    for (int i = 1; i <= 3; ++i) bar.update(i);
  }
  std::rewind(file.get());
  std::string text(1000, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  return text;
}

TEST(ProgressBar, WritesPlainLinesToAFile) {
  EXPECT_EQ(written(1e6), "");
  const std::string text = written(0);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3);
  EXPECT_THAT(text, testing::Not(testing::AnyOf(testing::HasSubstr("\r"), testing::HasSubstr("\033"))));
}

}  // namespace
}  // namespace ddpm
