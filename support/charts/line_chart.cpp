#include "support/charts/line_chart.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <span>
#include <string_view>

#include "support/atomic_file.h"
#include "support/charts/svg.h"
#include "support/error.h"

namespace ddpm {
namespace {

// The colorblind-safe palette of Okabe and Ito, without yellow, which is faint on white.
constexpr std::string_view kColors[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                        "#e69f00", "#56b4e9", "#000000"};
constexpr double kCharacterWidth = 6.8;  // of the 12-pixel font, on average

// One axis: its range, its ticks, and the position of a value.
struct Axis {
  AxisScale scale = AxisScale::kLinear;
  double low = 0;
  double high = 1;
  std::vector<double> ticks;

  // 0 at the low end, 1 at the high end.
  double position(double value) const {
    if (scale == AxisScale::kLog) return (std::log(value) - std::log(low)) / (std::log(high) - std::log(low));
    return (value - low) / (high - low);
  }
};

bool is_drawable(const ChartPoint& point, AxisScale y_scale) {
  constexpr double kLargest = 1e300;  // keeps differences and products of ranges finite; NaN fails, too
  return std::abs(point.x) <= kLargest && std::abs(point.y) <= kLargest &&
         (y_scale == AxisScale::kLinear || point.y > 0);
}

// The smallest of 1, 2, 5, 10 times a power of ten that is at least `value`.
double round_up_to_nice(double value) {
  const double power = std::pow(10.0, std::floor(std::log10(value)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (value <= factor * power * (1 + 1e-9)) return factor * power;
  return 10 * power;
}

enum class AxisEnds : uint8_t {
  kAtData,   // the axis ends where the data ends
  kAtTicks,  // the axis is extended to a tick on both sides
};

Axis linear_axis(double low, double high, int wanted_ticks, AxisEnds ends) {
  // A single value gets a range around it, and so does a range too small for doubles to divide.
  if (!(high - low > 1e-9 * std::max(std::abs(low), std::abs(high)))) {
    const double margin = low == 0 ? 1 : 0.1 * std::abs(low);
    low -= margin;
    high += margin;
  }
  const double step = round_up_to_nice((high - low) / wanted_ticks);
  Axis axis = {AxisScale::kLinear, low, high, {}};
  if (ends == AxisEnds::kAtTicks) {
    axis.low = std::floor(low / step + 1e-9) * step;
    axis.high = std::ceil(high / step - 1e-9) * step;
  }
  const double first = std::ceil(axis.low / step - 1e-9) + 0.0;  // + 0: no "-0"
  for (double k = first; k * step <= axis.high + 1e-9 * step; ++k) axis.ticks.push_back(k * step);
  return axis;
}

// Ticks at 1, 2 and 5 times the powers of ten; over many decades only at the powers, or at every few of them.
Axis log_axis(double low, double high, int wanted_ticks) {
  if (!(high > low * (1 + 1e-9))) {
    low /= 2;
    high *= 2;
  }
  Axis axis = {AxisScale::kLog, low, high, {}};
  const int first = static_cast<int>(std::floor(std::log10(low) + 1e-9));
  const int last = static_cast<int>(std::ceil(std::log10(high) - 1e-9));
  const int stride = 1 + (last - first) / wanted_ticks;
  constexpr double kFewDecades = 1e3;
  for (int power = first; power <= last; power += stride) {
    const double decade = std::pow(10.0, power);
    for (const double factor : {1.0, 2.0, 5.0}) {
      if (factor > 1 && high > kFewDecades * low) break;
      const double tick = factor * decade;
      if (tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9)) axis.ticks.push_back(tick);
    }
  }
  return axis;
}

// "1200000" becomes "1.2M": the unit fits the largest tick, and there are enough decimals to
// tell ticks apart.
std::vector<std::string> tick_labels(const Axis& axis) {
  struct Unit {
    double size;
    const char* suffix;
  };
  constexpr Unit kUnits[] = {{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e4, "k"}};
  double largest = 0;
  for (const double tick : axis.ticks) largest = std::max(largest, std::abs(tick));
  std::vector<std::string> labels;
  if (axis.scale == AxisScale::kLog || largest < 1e-3 || largest >= 1e15) {
    for (const double tick : axis.ticks) labels.push_back(fmt::format("{:.6g}", tick));
    return labels;
  }
  const auto* unit =
      std::find_if(std::begin(kUnits), std::end(kUnits), [&](const Unit& u) { return largest >= u.size; });
  const bool has_unit = unit != std::end(kUnits);
  const double size = !has_unit ? 1 : unit->size == 1e4 ? 1e3 : unit->size;
  const double step = axis.ticks.size() > 1 ? (axis.ticks[1] - axis.ticks[0]) / size : largest / size;
  const int decimals = std::clamp(static_cast<int>(std::ceil(-std::log10(step) - 1e-9)), 0, 9);
  for (const double tick : axis.ticks) {
    const double value = std::abs(tick) < 1e-9 * largest ? 0 : tick / size;  // no "-0.0"
    labels.push_back(fmt::format("{:.{}f}{}", value, decimals, has_unit && value != 0 ? unit->suffix : ""));
  }
  return labels;
}

struct Chart {
  const ChartOptions& options;
  const std::vector<ChartSeries>& series;
  Axis x;
  Axis y;
  // The plot area.
  double left;
  double top;
  double right;
  double bottom;

  double to_x(double value) const { return left + x.position(value) * (right - left); }
  double to_y(double value) const { return bottom - y.position(value) * (bottom - top); }
};

void choose_axes(Chart& chart) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const AxisScale y_scale = chart.options.y_scale;
  ChartPoint low = {kInfinity, kInfinity};
  ChartPoint high = {-kInfinity, -kInfinity};
  for (const ChartSeries& series : chart.series)
    for (const ChartPoint& point : series.points) {
      if (!is_drawable(point, y_scale)) continue;
      low = {std::min(low.x, point.x), std::min(low.y, point.y)};
      high = {std::max(high.x, point.x), std::max(high.y, point.y)};
    }
  if (low.x > high.x) {  // nothing to draw
    low = {0, 1};
    high = {1, 10};
  }
  constexpr int kXTicks = 8;
  constexpr int kYTicks = 6;
  chart.x = linear_axis(low.x, high.x, kXTicks, AxisEnds::kAtData);
  chart.y = y_scale == AxisScale::kLog ? log_axis(low.y, high.y, kYTicks)
                                       : linear_axis(low.y, high.y, kYTicks, AxisEnds::kAtTicks);
}

void place_plot(Chart& chart) {
  size_t widest_label = 0;
  for (const std::string& label : tick_labels(chart.y)) widest_label = std::max(widest_label, label.size());
  size_t widest_name = 0;
  for (const ChartSeries& series : chart.series) widest_name = std::max(widest_name, series.name.size());
  const double legend =
      chart.series.size() < 2
          ? 0
          : 36 + std::min(static_cast<double>(widest_name) * kCharacterWidth, 0.3 * chart.options.width);
  chart.left = 44 + static_cast<double>(widest_label) * kCharacterWidth;
  chart.top = 44;
  chart.right = std::max(chart.options.width - 24 - legend, chart.left + 1);
  chart.bottom = std::max(chart.options.height - 56.0, chart.top + 1);
}

void draw_frame(SvgDrawing& svg, const Chart& chart) {
  constexpr std::string_view kGrid = "#e4e4e4";
  constexpr std::string_view kAxis = "#555555";
  const std::vector<std::string> x_labels = tick_labels(chart.x);
  for (size_t i = 0; i < x_labels.size(); ++i) {
    const double x = chart.to_x(chart.x.ticks[i]);
    svg.line(x, chart.top, x, chart.bottom, kGrid);
    svg.text(x, chart.bottom + 18, "text-anchor=\"middle\"", x_labels[i]);
  }
  const std::vector<std::string> y_labels = tick_labels(chart.y);
  for (size_t i = 0; i < y_labels.size(); ++i) {
    const double y = chart.to_y(chart.y.ticks[i]);
    svg.line(chart.left, y, chart.right, y, kGrid);
    svg.text(chart.left - 8, y + 4, "text-anchor=\"end\"", y_labels[i]);
  }
  svg.line(chart.left, chart.top, chart.left, chart.bottom, kAxis);
  svg.line(chart.left, chart.bottom, chart.right, chart.bottom, kAxis);

  const double center_x = (chart.left + chart.right) / 2, center_y = (chart.top + chart.bottom) / 2;
  svg.text(center_x, 26, "text-anchor=\"middle\" font-size=\"15\" font-weight=\"bold\"", chart.options.title);
  svg.text(center_x, chart.bottom + 42, "text-anchor=\"middle\"", chart.options.x_label);
  svg.text(18, center_y, fmt::format("text-anchor=\"middle\" transform=\"rotate(-90 18 {:.1f})\"", center_y),
           chart.options.y_label);
}

// A run of points without gaps, in pixels.
using Run = std::vector<ChartPoint>;

std::vector<Run> runs_of(const Chart& chart, const ChartSeries& series) {
  std::vector<Run> runs(1);
  for (const ChartPoint& point : series.points) {
    if (is_drawable(point, chart.options.y_scale))
      runs.back().push_back({chart.to_x(point.x), chart.to_y(point.y)});
    else if (!runs.back().empty())
      runs.emplace_back();
  }
  if (runs.back().empty()) runs.pop_back();
  return runs;
}

// The visible points of each column of pixels: the first, the lowest, the highest and the last, in order.
Run thin_out(const Run& run) {
  Run thinned;
  for (size_t begin = 0; begin < run.size();) {
    size_t end = begin + 1;
    while (end < run.size() && std::floor(run[end].x) == std::floor(run[begin].x)) ++end;
    const auto first = run.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto last = run.begin() + static_cast<std::ptrdiff_t>(end);
    const auto [low, high] =
        std::minmax_element(first, last, [](const auto& a, const auto& b) { return a.y < b.y; });
    auto kept = {first, low, high, last - 1};
    std::vector<Run::const_iterator> order(kept);
    std::sort(order.begin(), order.end());
    order.erase(std::unique(order.begin(), order.end()), order.end());
    for (const auto& point : order) thinned.push_back(*point);
    begin = end;
  }
  return thinned;
}

std::string path_of(const Run& run, LineShape shape) {
  std::string path = fmt::format("M{:.1f} {:.1f}", run[0].x, run[0].y);
  for (const ChartPoint& point : std::span(run).subspan(1))
    path += shape == LineShape::kStep ? fmt::format("H{:.1f}V{:.1f}", point.x, point.y)
                                      : fmt::format("L{:.1f} {:.1f}", point.x, point.y);
  return path;
}

void draw_legend_entry(SvgDrawing& svg, const Chart& chart, size_t index, std::string_view stroke) {
  const double y = chart.top + 8 + 20 * static_cast<double>(index);
  svg.path(fmt::format("M{:.1f} {:.1f}h20", chart.right + 12, y),
           fmt::format("stroke-width=\"3\" {}", stroke));
  svg.text(chart.right + 38, y + 4, "", chart.series[index].name);
}

void draw_series(SvgDrawing& svg, const Chart& chart, size_t index) {
  const ChartSeries& series = chart.series[index];
  const std::string_view color = kColors[index % std::size(kColors)];
  const bool palette_is_used_up = index >= std::size(kColors);
  const std::string stroke = fmt::format("stroke=\"{}\" stroke-opacity=\"{:.2f}\"{}", color, series.opacity,
                                         palette_is_used_up ? " stroke-dasharray=\"6 3\"" : "");
  std::string path;
  for (const Run& run : runs_of(chart, series)) {
    path += path_of(thin_out(run), series.shape);
    if (run.size() == 1) svg.circle(run[0].x, run[0].y, 3, color);  // a line of one point would be invisible
  }
  if (!path.empty())
    svg.path(path, fmt::format("fill=\"none\" stroke-width=\"1.6\" stroke-linejoin=\"round\" {}", stroke));
  if (chart.series.size() > 1) draw_legend_entry(svg, chart, index, stroke);
}

}  // namespace

std::string line_chart_svg(const ChartOptions& options, const std::vector<ChartSeries>& series) {
  DDPM_CHECK(options.width > 0 && options.height > 0);
  Chart chart = {options, series, {}, {}, 0, 0, 0, 0};
  choose_axes(chart);
  place_plot(chart);
  SvgDrawing svg(options.width, options.height);
  draw_frame(svg, chart);
  for (size_t i = 0; i < series.size(); ++i) draw_series(svg, chart, i);
  const bool is_empty = std::all_of(series.begin(), series.end(), [&](const ChartSeries& s) {
    return std::none_of(s.points.begin(), s.points.end(),
                        [&](const ChartPoint& point) { return is_drawable(point, options.y_scale); });
  });
  if (is_empty)
    svg.text((chart.left + chart.right) / 2, (chart.top + chart.bottom) / 2, "text-anchor=\"middle\"",
             "no data");
  return svg.finish();
}

void write_line_chart_svg(const std::filesystem::path& path, const ChartOptions& options,
                          const std::vector<ChartSeries>& series) {
  write_file_atomically(path, line_chart_svg(options, series));
}

}  // namespace ddpm
