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

// Okabe and Ito's palette, told apart by colour-blind readers too; without its yellow, which is faint on
// white.
constexpr std::string_view kColours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                         "#e69f00", "#56b4e9", "#000000"};
constexpr double kCharacterWidth = 6.8;  // of the 12-pixel font, on average

// One axis: the values that it shows, where the ticks are, and where a value falls.
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
  constexpr double kLargest =
      1e300;  // so that differences and products of ranges stay finite; a NaN fails too
  return std::abs(point.x) <= kLargest && std::abs(point.y) <= kLargest &&
         (y_scale == AxisScale::kLinear || point.y > 0);
}

// The least of 1, 2, 5, 10 times a power of ten that is not below `value`.
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
  // A single value gets a range around it; so does one that the range below could not tell from its
  // neighbours.
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

// Ticks at 1, 2 and 5 times the powers of ten; at whole powers alone, or at every few of them, where those
// are many.
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

// "1200000" is "1.2M": the unit that suits the largest tick, and as many decimals as tell the ticks apart.
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
  // The plot's rectangle.
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

void append_text(std::string& svg, double x, double y, std::string_view attributes, std::string_view text) {
  fmt::format_to(std::back_inserter(svg), "<text x=\"{:.1f}\" y=\"{:.1f}\" {}>{}</text>\n", x, y, attributes,
                 escape_xml(text));
}

void append_line(std::string& svg, const ChartPoint& from, const ChartPoint& to, std::string_view colour) {
  fmt::format_to(std::back_inserter(svg),
                 "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\"/>\n", from.x,
                 from.y, to.x, to.y, colour);
}

void append_frame(std::string& svg, const Chart& chart) {
  constexpr std::string_view kGrid = "#e4e4e4";
  constexpr std::string_view kAxis = "#555555";
  const std::vector<std::string> x_labels = tick_labels(chart.x);
  for (size_t i = 0; i < x_labels.size(); ++i) {
    const double x = chart.to_x(chart.x.ticks[i]);
    append_line(svg, {x, chart.top}, {x, chart.bottom}, kGrid);
    append_text(svg, x, chart.bottom + 18, "text-anchor=\"middle\"", x_labels[i]);
  }
  const std::vector<std::string> y_labels = tick_labels(chart.y);
  for (size_t i = 0; i < y_labels.size(); ++i) {
    const double y = chart.to_y(chart.y.ticks[i]);
    append_line(svg, {chart.left, y}, {chart.right, y}, kGrid);
    append_text(svg, chart.left - 8, y + 4, "text-anchor=\"end\"", y_labels[i]);
  }
  append_line(svg, {chart.left, chart.top}, {chart.left, chart.bottom}, kAxis);
  append_line(svg, {chart.left, chart.bottom}, {chart.right, chart.bottom}, kAxis);

  const double middle = (chart.left + chart.right) / 2;
  append_text(svg, middle, 26, "text-anchor=\"middle\" font-size=\"15\" font-weight=\"bold\"",
              chart.options.title);
  append_text(svg, middle, chart.bottom + 42, "text-anchor=\"middle\"", chart.options.x_label);
  const double centre = (chart.top + chart.bottom) / 2;
  append_text(svg, 18, centre,
              fmt::format("text-anchor=\"middle\" transform=\"rotate(-90 18 {:.1f})\"", centre),
              chart.options.y_label);
}

// A run of points in pixels, without gaps.
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

// Of the points in one column of pixels, those that can be seen: first, lowest, highest, last, in their
// order.
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

void append_legend_entry(std::string& svg, const Chart& chart, size_t index, std::string_view stroke) {
  const double y = chart.top + 8 + 20 * static_cast<double>(index);
  fmt::format_to(std::back_inserter(svg), "<path d=\"M{:.1f} {:.1f}h20\" stroke-width=\"3\" {}/>\n",
                 chart.right + 12, y, stroke);
  append_text(svg, chart.right + 38, y + 4, "", chart.series[index].name);
}

void append_series(std::string& svg, const Chart& chart, size_t index) {
  const ChartSeries& series = chart.series[index];
  const std::string_view colour = kColours[index % std::size(kColours)];
  const bool palette_is_used_up = index >= std::size(kColours);
  const std::string stroke = fmt::format("stroke=\"{}\" stroke-opacity=\"{:.2f}\"{}", colour, series.opacity,
                                         palette_is_used_up ? " stroke-dasharray=\"6 3\"" : "");
  std::string path;
  for (const Run& run : runs_of(chart, series)) {
    path += path_of(thin_out(run), series.shape);
    if (run.size() == 1)  // a line of one point would not be seen
      fmt::format_to(std::back_inserter(svg), "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"/>\n",
                     run[0].x, run[0].y, colour);
  }
  if (!path.empty())
    fmt::format_to(std::back_inserter(svg),
                   "<path d=\"{}\" fill=\"none\" stroke-width=\"1.6\" stroke-linejoin=\"round\" {}/>\n", path,
                   stroke);
  if (chart.series.size() > 1) append_legend_entry(svg, chart, index, stroke);
}

}  // namespace

std::string line_chart_svg(const ChartOptions& options, const std::vector<ChartSeries>& series) {
  DDPM_CHECK(options.width > 0 && options.height > 0);
  Chart chart = {options, series, {}, {}, 0, 0, 0, 0};
  choose_axes(chart);
  place_plot(chart);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
      "font-family=\"sans-serif\" font-size=\"12\" fill=\"#222222\">\n"
      "<rect width=\"{0}\" height=\"{1}\" fill=\"#ffffff\"/>\n",
      options.width, options.height);
  append_frame(svg, chart);
  for (size_t i = 0; i < series.size(); ++i) append_series(svg, chart, i);
  const bool is_empty = std::all_of(series.begin(), series.end(), [&](const ChartSeries& s) {
    return std::none_of(s.points.begin(), s.points.end(),
                        [&](const ChartPoint& point) { return is_drawable(point, options.y_scale); });
  });
  if (is_empty)
    append_text(svg, (chart.left + chart.right) / 2, (chart.top + chart.bottom) / 2, "text-anchor=\"middle\"",
                "no data");
  return svg + "</svg>\n";
}

void write_line_chart_svg(const std::filesystem::path& path, const ChartOptions& options,
                          const std::vector<ChartSeries>& series) {
  write_file_atomically(path, line_chart_svg(options, series));
}

}  // namespace ddpm
