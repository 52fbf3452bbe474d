// Builds SVG text, element by element.
#pragma once

#include <string>
#include <string_view>

namespace ddpm {

// Escapes text for use between tags and in attributes; control characters, which XML cannot
// represent, become spaces.
std::string escape_xml(std::string_view text);

// A rectangle in pixels, y downwards.
struct SvgBox {
  double x = 0;
  double y = 0;
  double width = 0;
  double height = 0;
};

// An image on a white background. `attributes` is raw XML ("fill=\"red\""); all other text is escaped.
class SvgDrawing {
 public:
  SvgDrawing(double width, double height);

  // Viewers show the tooltip, if any, under the pointer.
  void rectangle(const SvgBox& box, std::string_view attributes, std::string_view tooltip = {});
  void path(std::string_view data, std::string_view attributes);
  void line(double from_x, double from_y, double to_x, double to_y, std::string_view color);
  void circle(double x, double y, double radius, std::string_view color);
  void text(double x, double y, std::string_view attributes, std::string_view text);

  // The complete file; draw nothing afterwards.
  std::string finish();

 private:
  std::string svg_;
};

}  // namespace ddpm
