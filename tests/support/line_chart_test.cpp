// Line charts: the geometry of known points, and missing, constant, huge or hostile data.
#include "support/charts/line_chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "support/atomic_file.h"
#include "support/error.h"
#include "tests/temporary_folder.h"

namespace ddpm {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

size_t count_of(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

ChartOptions options(AxisScale y_scale = AxisScale::kLinear) {
  ChartOptions chart;
  chart.title = "title";
  chart.x_label = "step";
  chart.y_label = "loss";
  chart.y_scale = y_scale;
  return chart;
}

// The plot area of an 800x450 chart with y labels of one or two characters, from the layout's margins.
constexpr const char* kTop = "44.0";
constexpr const char* kBottom = "394.0";
constexpr const char* kRight = "776.0";

TEST(LineChart, AxesSpanTheData) {
  const std::string svg = line_chart_svg(options(), {{"a", {{0, 0}, {5, 10}, {10, 5}}}});
  const double left = 44 + 2 * 6.8;  // "10" is the widest label
  EXPECT_THAT(svg, HasSubstr(fmt::format("d=\"M{:.1f} {}L{:.1f} {}L{} 219.0\"", left, kBottom,
                                         (left + 776) / 2, kTop, kRight)));
  for (const char* text : {">title<", ">step<", ">loss<", ">0<", ">10<"}) EXPECT_THAT(svg, HasSubstr(text));
  EXPECT_EQ(count_of(svg, "<svg "), 1u);
  EXPECT_EQ(count_of(svg, "</svg>"), 1u);
}

TEST(LineChart, SupportsLogAxes) {
  const std::string svg = line_chart_svg(options(AxisScale::kLog), {{"a", {{0, 1}, {1, 10}, {2, 100}}}});
  EXPECT_THAT(svg, HasSubstr(" 219.0L"));  // 10 is midway between 1 and 100
  for (const char* tick : {">1<", ">2<", ">5<", ">10<", ">100<"}) EXPECT_THAT(svg, HasSubstr(tick));
  const std::string wide = line_chart_svg(options(AxisScale::kLog), {{"a", {{0, 1e-8}, {1, 1e8}}}});
  EXPECT_LT(count_of(wide, "<line "), 8u + 6 + 4);  // the decades do not crowd
}

TEST(LineChart, DrawsStepsAsSteps) {
  const std::string svg = line_chart_svg(options(), {{"a", {{0, 0}, {5, 10}, {10, 5}}, LineShape::kStep}});
  EXPECT_THAT(svg, HasSubstr(fmt::format("V{}H{}V219.0\"", kTop, kRight)));
}

TEST(LineChart, LeavesGapsForMissingValues) {
  const std::string svg = line_chart_svg(
      options(), {{"a", {{0, 1}, {1, 2}, {2, kNan}, {3, kInfinity}, {kNan, 1}, {4, 1}, {5, 2}}}});
  EXPECT_EQ(count_of(svg, "L"), 2u);  // two lines of two points
  EXPECT_THAT(svg, AllOf(Not(HasSubstr("nan")), Not(HasSubstr("inf"))));
  const std::string log =
      line_chart_svg(options(AxisScale::kLog), {{"a", {{0, 1}, {1, 2}, {2, 0}, {3, -1}, {4, 3}}}});
  EXPECT_EQ(count_of(log, "L"), 1u);
  EXPECT_EQ(count_of(log, "<circle"), 1u);  // the last point is alone
}

TEST(LineChart, SaysNoData) {
  for (const AxisScale scale : {AxisScale::kLinear, AxisScale::kLog}) {
    EXPECT_THAT(line_chart_svg(options(scale), {}), HasSubstr("no data"));
    EXPECT_THAT(line_chart_svg(options(scale), {{"a", {}}}), HasSubstr("no data"));
    EXPECT_THAT(line_chart_svg(options(scale), {{"a", {{kNan, 1}, {0, -kInfinity}}}}), HasSubstr("no data"));
  }
  EXPECT_THAT(line_chart_svg(options(), {{"a", {{0, 0}}}}), Not(HasSubstr("no data")));
}

TEST(LineChart, HandlesAnyRangeOfValues) {
  constexpr double kTiny = std::numeric_limits<double>::denorm_min();
  const std::vector<std::vector<ChartPoint>> hard = {
      {{3, 5}},
      {{0, 7}, {1, 7}},
      {{0, 0}, {0, 0}},
      {{1e15, 1e15}, {1e15 + 1, 1e15 + 1}},
      {{-1e300, -1e300}, {1e300, 1e300}},
      {{-1.7e308, 1}, {0, 1.7e308}, {1.7e308, 2}},
      {{0, kTiny}, {1, 1}},
      {{0, -5e-9}, {1e-9, 5e-9}},
  };
  for (const AxisScale scale : {AxisScale::kLinear, AxisScale::kLog})
    for (const std::vector<ChartPoint>& points : hard) {
      const std::string svg = line_chart_svg(options(scale), {{"a", points}});
      EXPECT_THAT(svg, AllOf(Not(HasSubstr("nan")), Not(HasSubstr("inf\"")), Not(HasSubstr(">-0<"))));
      EXPECT_LT(svg.size(), 10000u);
    }
}

TEST(LineChart, LabelsLargeValuesInUnits) {
  const std::string svg = line_chart_svg(options(), {{"a", {{0, 0}, {60000, 180e6}}}});
  EXPECT_THAT(svg, AllOf(HasSubstr(">10k<"), HasSubstr(">60k<"), HasSubstr(">50M<"), HasSubstr(">200M<")));
}

TEST(LineChart, KeepsTheExtremesOfManyPoints) {
  ChartSeries series = {"a", {}};
  for (int i = 0; i < 500000; ++i)
    series.points.push_back({static_cast<double>(i), i == 123456 ? 9.0 : i % 2 + 4.0});
  series.points[400000].y = 0;
  const std::string svg = line_chart_svg(options(), {series});
  EXPECT_LT(svg.size(), 60000u);  // four points of about 14 characters in each of 720 columns
  EXPECT_EQ(count_of(svg, fmt::format(" {}L", kBottom)), 1u);  // the one 0
  EXPECT_GE(count_of(svg, " 79.0L"), 1u);                      // the one 9, on an axis that ends at 10
}

TEST(LineChart, NamesTwoSeriesAndEscapesTheirNames) {
  const std::string one = line_chart_svg(options(), {{"alone", {{0, 0}, {1, 1}}}});
  EXPECT_THAT(one, Not(HasSubstr("alone")));
  const std::string two =
      line_chart_svg(options(), {{"a<b> & \"c\"\n", {{0, 0}, {1, 1}}}, {"second", {{0, 1}, {1, 0}}}});
  EXPECT_THAT(two, AllOf(HasSubstr(">a&lt;b&gt; &amp; &quot;c&quot; <"), HasSubstr(">second<")));
}

TEST(LineChart, WritesAFile) {
  const TemporaryFolder folder;
  write_line_chart_svg(folder.path() / "a.svg", options(), {{"a", {{0, 0}, {1, 1}}}});
  EXPECT_EQ(read_file(folder.path() / "a.svg"), line_chart_svg(options(), {{"a", {{0, 0}, {1, 1}}}}));
  EXPECT_THROW(write_line_chart_svg(folder.path() / "none" / "a.svg", options(), {}), InputError);
}

}  // namespace
}  // namespace ddpm
