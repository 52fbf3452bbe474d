// Drawings as SVG text, element by element.
#pragma once

#include <string>
#include <string_view>

namespace ddpm {

// Text as it may stand between tags and in attributes; control characters, which XML cannot write, become
// spaces.
std::string escape_xml(std::string_view text);

// A rectangle in pixels, y downwards.
struct SvgBox {
  double x = 0;
  double y = 0;
  double width = 0;
  double height = 0;
};

// A picture on white. `attributes` is XML as it stands ("fill=\"red\""); every other text is escaped.
class SvgDrawing {
 public:
  SvgDrawing(double width, double height);

  // A viewer shows the tooltip, if any, under the pointer.
  void rectangle(const SvgBox& box, std::string_view attributes, std::string_view tooltip = {});
  void path(std::string_view data, std::string_view attributes);
  void text(double x, double y, std::string_view attributes, std::string_view text);

  // The whole file; nothing may be drawn afterwards.
  std::string finish();

 private:
  std::string svg_;
};

}  // namespace ddpm
