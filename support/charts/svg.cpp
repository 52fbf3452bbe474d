#include "support/charts/svg.h"

#include <fmt/format.h>

#include <iterator>
#include <utility>

namespace ddpm {

std::string escape_xml(std::string_view text) {
  std::string escaped;
  for (const char c : text) switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  return escaped;
}

SvgDrawing::SvgDrawing(double width, double height)
    : svg_(fmt::format(
          "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" "
          "viewBox=\"0 0 {0:.0f} {1:.0f}\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#222222\">\n"
          "<rect width=\"{0:.0f}\" height=\"{1:.0f}\" fill=\"#ffffff\"/>\n",
          width, height)) {}

void SvgDrawing::rectangle(const SvgBox& box, std::string_view attributes, std::string_view tooltip) {
  fmt::format_to(std::back_inserter(svg_),
                 "<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" {}", box.x, box.y,
                 box.width, box.height, attributes);
  svg_ += tooltip.empty() ? "/>\n" : "><title>" + escape_xml(tooltip) + "</title></rect>\n";
}

void SvgDrawing::path(std::string_view data, std::string_view attributes) {
  fmt::format_to(std::back_inserter(svg_), "<path d=\"{}\" {}/>\n", data, attributes);
}

void SvgDrawing::line(double from_x, double from_y, double to_x, double to_y, std::string_view color) {
  fmt::format_to(std::back_inserter(svg_),
                 "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\"/>\n", from_x,
                 from_y, to_x, to_y, color);
}

void SvgDrawing::circle(double x, double y, double radius, std::string_view color) {
  fmt::format_to(std::back_inserter(svg_), "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.0f}\" fill=\"{}\"/>\n",
                 x, y, radius, color);
}

void SvgDrawing::text(double x, double y, std::string_view attributes, std::string_view text) {
  fmt::format_to(std::back_inserter(svg_), "<text x=\"{:.1f}\" y=\"{:.1f}\" {}>{}</text>\n", x, y, attributes,
                 escape_xml(text));
}

std::string SvgDrawing::finish() { return std::exchange(svg_, {}) + "</svg>\n"; }

}  // namespace ddpm
