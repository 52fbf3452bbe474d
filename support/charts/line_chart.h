// Line charts as SVG: loss curves, memory plots.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace ddpm {

enum class AxisScale : uint8_t { kLinear, kLog };

enum class LineShape : uint8_t {
  kStraight,  // from point to point
  kStep,      // each value holds until the next point
};

struct ChartPoint {
  double x;
  double y;
};

// Points in drawing order. A point that is not finite, or not positive on a logarithmic axis, leaves a gap.
struct ChartSeries {
  std::string name;
  std::vector<ChartPoint> points;
  LineShape shape = LineShape::kStraight;
  double opacity = 1;  // below 1 for raw values behind their mean
};

struct ChartOptions {
  std::string title;
  std::string x_label;
  std::string y_label;
  AxisScale y_scale = AxisScale::kLinear;
  int width = 800;  // of the whole image, in pixels
  int height = 450;
};

// The chart as a complete SVG file. Two or more series get a legend. The text stays small for any number of
// points: of those in one column of pixels, only the first, the lowest, the highest and the last are drawn.
std::string line_chart_svg(const ChartOptions& options, const std::vector<ChartSeries>& series);

// InputError if the file cannot be written.
void write_line_chart_svg(const std::filesystem::path& path, const ChartOptions& options,
                          const std::vector<ChartSeries>& series);

}  // namespace ddpm
