#include "runtime/report/graph_drawing.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <variant>

#include "support/charts/svg.h"
#include "support/error.h"

namespace ddpm {
namespace {

// ---- blocks ----

bool is_number(std::string_view part) {
  return !part.empty() && std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::string block_name(const std::string& operation) {
  size_t end = operation.find('.');
  bool after_list = false;
  for (size_t begin = 0; begin < operation.size();) {
    const size_t dot = std::min(operation.find('.', begin), operation.size());
    const std::string_view part = std::string_view(operation).substr(begin, dot - begin);
    if (after_list && is_number(part)) end = dot;
    after_list = part.ends_with('s');
    begin = dot + 1;
  }
  return operation.substr(0, end);
}

bool is_image(const Shape& shape) { return shape.size() == 4; }

// The result of a block's last operation: the operand y if there are several.
Shape result_shape(const Program& program, const Operation& operation) {
  Shape shape;
  for (const Operand& operand : operands(operation.operation))
    if (operand.access == Access::kWrite && (shape.empty() || std::string_view(operand.name) == "y"))
      shape = program.shape(operand.buffer);
  return shape;
}

// In ascending order, each once.
void insert_sorted(std::vector<size_t>& values, size_t value) {
  const auto at = std::lower_bound(values.begin(), values.end(), value);
  if (at == values.end() || *at != value) values.insert(at, value);
}

bool contains(const std::vector<size_t>& sorted, size_t value) {
  return std::binary_search(sorted.begin(), sorted.end(), value);
}

template <typename Op>
bool has_operation(const Program& program, const NetworkBlock& block) {
  return std::any_of(block.operations.begin(), block.operations.end(), [&](size_t index) {
    return std::holds_alternative<Op>(program.operations()[index].operation);
  });
}

// ---- kinds of block ----

struct BlockStyle {
  std::string_view name;
  std::string_view fill;
  std::string_view stroke;
};
constexpr BlockStyle kResidual = {"residual block", "#dcebf7", "#0072b2"};
constexpr BlockStyle kAttention = {"attention", "#fbe3d0", "#d55e00"};
constexpr BlockStyle kConvolution = {"convolution", "#d8f0e6", "#009e73"};
constexpr BlockStyle kTime = {"time embedding", "#f5e2ee", "#b3578d"};
constexpr BlockStyle kOther = {"other", "#f0f0f0", "#777777"};
constexpr BlockStyle kStyles[] = {kResidual, kAttention, kConvolution, kTime, kOther};

BlockStyle style_of(const Program& program, const NetworkBlock& block) {
  const bool convolves =
      has_operation<Conv2d>(program, block) || has_operation<UpsampleConv2d>(program, block);
  if (has_operation<Attention>(program, block)) return kAttention;
  if (convolves && has_operation<GroupNorm>(program, block)) return kResidual;
  if (convolves) return kConvolution;
  if (has_operation<Linear>(program, block) || has_operation<TimeEmbedding>(program, block)) return kTime;
  return kOther;
}

// ---- layout ----

enum class Side : uint8_t { kTop, kDown, kBottom, kUp };

struct Place {
  Side side = Side::kTop;
  double row = 0;  // from the top
  int slot = 0;    // within its row and side, from the left
};

// The place of each block. The way down ends with the last block that a skip connection leaves; the
// way up begins with the first block that one enters. Blocks that compute no image (the time
// embedding) go to the top.
class Layout {
 public:
  explicit Layout(const std::vector<NetworkBlock>& blocks) : blocks_(blocks), places_(blocks.size()) {
    find_skips();
    for (size_t i = 0; i < blocks.size(); ++i)
      is_image(blocks[i].output) ? place_image_block(i) : place_above(i);
    number_rows();
  }

  const Place& place(size_t block) const { return places_[block]; }
  bool is_skip(size_t source, size_t target) const {
    const auto found = skip_source_.find(target);
    return found != skip_source_.end() && found->second == source;
  }
  int rows() const { return rows_; }
  int slots(Side side) const {
    int slots = 0;
    for (const Place& place : places_)
      if (place.side == side) slots = std::max(slots, place.slot + 1);
    return slots;
  }

 private:
  // Of two images that a block reads, the earlier one comes by a skip connection.
  void find_skips() {
    for (size_t target = 0; target < blocks_.size(); ++target) {
      const std::vector<size_t>& images = blocks_[target].image_sources;
      if (images.size() < 2) continue;
      skip_source_[target] = images.front();
      last_source_ = std::max(last_source_, images.front());
      sources_.insert(images.front());
    }
  }

  void place_above(size_t block) { places_[block] = {Side::kTop, 0, top_slots_++}; }

  void place_image_block(size_t block) {
    const bool reached = skip_source_.contains(block);
    const bool starts = !has_previous_;
    const bool stays = !starts && blocks_[previous_].output == blocks_[block].output;
    Place place = places_[previous_];
    if (starts) {
      place = {Side::kDown, 0, 0};
    } else if (reached) {
      place = {Side::kUp, places_[skip_source_[block]].row, 0};
    } else if (place.side == Side::kDown && !skip_source_.empty() && previous_ == last_source_) {
      place = {Side::kBottom, place.row + 1, 0};
    } else if (stays && !sources_.contains(previous_)) {
      ++place.slot;
    } else if (place.side == Side::kUp) {
      // Between the rows of two resolutions; above all rows once every skip connection is used up.
      place = {Side::kUp, place.row - (block > skip_source_.rbegin()->first ? 1 : 0.5), 0};
    } else {
      place = {place.side, place.row + 1, 0};
    }
    places_[block] = place;
    previous_ = block;
    has_previous_ = true;
  }

  // Renumbers the rows 0, 1, 2, ..., with the top before them.
  void number_rows() {
    std::map<double, double> numbers;
    for (const Place& place : places_)
      if (place.side != Side::kTop) numbers[place.row] = 0;
    rows_ = top_slots_ > 0 ? 1 : 0;
    for (auto& [row, number] : numbers) number = rows_++;
    for (Place& place : places_)
      if (place.side != Side::kTop) place.row = numbers[place.row];
  }

  const std::vector<NetworkBlock>& blocks_;
  std::vector<Place> places_;
  std::map<size_t, size_t> skip_source_;  // by target
  std::set<size_t> sources_;
  size_t last_source_ = 0;
  size_t previous_ = 0;
  bool has_previous_ = false;
  int top_slots_ = 0;
  int rows_ = 0;
};

// ---- drawing ----

std::string count_text(int64_t count) {
  if (count >= 1'000'000) return fmt::format("{:.2f} M", static_cast<double>(count) * 1e-6);
  if (count >= 1'000) return fmt::format("{:.1f} k", static_cast<double>(count) * 1e-3);
  return std::to_string(count);
}

// Without the batch: "64×64×128".
std::string image_text(const Shape& shape) {
  return shape.empty() ? "" : fmt::format("{}", fmt::join(shape.begin() + 1, shape.end(), "×"));
}

class GraphDrawing {
 public:
  explicit GraphDrawing(const Program& program)
      : program_(program), blocks_(network_blocks(program)), layout_(blocks_) {}

  std::string draw(const std::string& title) {
    svg_.text(width() / 2, 26, "text-anchor=\"middle\" font-size=\"16\" font-weight=\"bold\"", title);
    draw_bands();
    for (size_t target = 0; target < blocks_.size(); ++target)
      for (const size_t source : blocks_[target].sources) draw_connection(source, target);
    for (size_t block = 0; block < blocks_.size(); ++block) draw_block(block);
    draw_legend();
    return svg_.finish();
  }

 private:
  static constexpr double kBoxWidth = 200, kBoxHeight = 34;
  static constexpr double kColumn = kBoxWidth + 24, kRow = kBoxHeight + 18;
  static constexpr double kLabels = 64;  // of the bands
  static constexpr double kCenter = 96;  // between the two ways
  static constexpr double kTop = 46, kLegend = 44, kLegendWidth = 900, kMargin = 16;

  double width() const {
    const int across = std::max({layout_.slots(Side::kDown) + layout_.slots(Side::kUp),
                                 layout_.slots(Side::kTop), layout_.slots(Side::kBottom), 3});
    return std::max(kLabels + across * kColumn + kCenter + kMargin, kLegendWidth);
  }
  double height() const { return kTop + layout_.rows() * kRow + kLegend; }

  SvgBox box(size_t block) const {
    const Place& place = layout_.place(block);
    double x = kLabels + kMargin + place.slot * kColumn;
    if (place.side == Side::kUp) x += layout_.slots(Side::kDown) * kColumn + kCenter;
    if (place.side == Side::kBottom) {
      const double free = width() - kLabels - kMargin - layout_.slots(Side::kBottom) * kColumn;
      x += free / 2;
    }
    return {x, kTop + place.row * kRow + (kRow - kBoxHeight) / 2, kBoxWidth, kBoxHeight};
  }

  // ---- bands: rows of one resolution ----

  void draw_bands() {
    std::map<int, Shape> shape_of_row;
    for (size_t i = 0; i < blocks_.size(); ++i)
      if (layout_.place(i).side != Side::kTop)
        shape_of_row.try_emplace(static_cast<int>(layout_.place(i).row), blocks_[i].output);
    int band = 0;
    for (auto begin = shape_of_row.begin(); begin != shape_of_row.end(); ++band) {
      auto end = begin;
      while (end != shape_of_row.end() && end->second[1] == begin->second[1] &&
             end->second[2] == begin->second[2])
        ++end;
      draw_band(begin->first, std::prev(end)->first + 1, band, begin->second);
      begin = end;
    }
  }

  void draw_band(int begin, int end, int band, const Shape& shape) {
    const double top = kTop + begin * kRow, bottom = kTop + end * kRow;
    svg_.rectangle({0, top, width(), bottom - top},
                   fmt::format("fill=\"{}\"", band % 2 == 0 ? "#f7f7f5" : "#ffffff"));
    svg_.text(kLabels / 2 + 4, (top + bottom) / 2 + 4,
              "text-anchor=\"middle\" font-size=\"13\" font-weight=\"bold\"",
              fmt::format("{}×{}", shape[1], shape[2]));
  }

  // ---- boxes ----

  bool gets_time(size_t block) const {
    return is_image(blocks_[block].output) &&
           std::any_of(blocks_[block].sources.begin(), blocks_[block].sources.end(),
                       [this](size_t source) { return layout_.place(source).side == Side::kTop; });
  }

  void draw_block(size_t index) {
    const NetworkBlock& block = blocks_[index];
    const SvgBox at = box(index);
    const BlockStyle style = style_of(program_, block);
    svg_.rectangle(at,
                   fmt::format("class=\"block\" rx=\"4\" fill=\"{}\" stroke=\"{}\" stroke-width=\"1.2\"",
                               style.fill, style.stroke),
                   fmt::format("{}: {} operations", block.name, block.operations.size()));
    const double center = at.x + at.width / 2;
    svg_.text(center, at.y + 14, "text-anchor=\"middle\" font-size=\"10.5\" font-weight=\"bold\"",
              block.name);
    std::string detail = image_text(block.output);
    if (block.parameters > 0) detail += fmt::format("  ·  {} parameters", count_text(block.parameters));
    svg_.text(center, at.y + 27, "text-anchor=\"middle\" font-size=\"10\" fill=\"#444444\"", detail);
    if (gets_time(index)) draw_dot(at.x + 8, at.y + 24);
  }

  void draw_dot(double x, double y) {
    svg_.path(fmt::format("M{:.1f} {:.1f}m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0 -7 0", x, y),
              fmt::format("fill=\"{}\"", kTime.stroke));
  }

  // ---- arrows ----

  struct Point {
    double x;
    double y;
  };

  void draw_connection(size_t source, size_t target) {
    const bool from_top = layout_.place(source).side == Side::kTop,
               to_top = layout_.place(target).side == Side::kTop;
    if (from_top && !to_top) return;  // drawn as a dot: the time embedding reaches every residual block
    const SvgBox a = box(source), b = box(target);
    if (layout_.is_skip(source, target)) {
      draw_arrow({{a.x + a.width, a.y + a.height / 2}, {b.x, b.y + b.height / 2}},
                 "class=\"skip\" stroke=\"#e69f00\" stroke-width=\"2\" stroke-dasharray=\"6 3\"", "#e69f00");
      return;
    }
    // A loss also reads the timesteps: that arrow would cross everything.
    if (!to_top && !contains(blocks_[target].image_sources, source)) return;
    draw_arrow(route(a, b), "stroke=\"#333333\" stroke-width=\"1.3\"", "#333333");
  }

  // Horizontal within a row; otherwise vertical, through the middle between two rows if the columns differ.
  static std::vector<Point> route(const SvgBox& a, const SvgBox& b) {
    if (a.y == b.y) return {{a.x + a.width, a.y + a.height / 2}, {b.x, b.y + b.height / 2}};
    const double down = b.y > a.y ? 1 : -1;
    const Point from{a.x + a.width / 2, down > 0 ? a.y + a.height : a.y};
    const Point to{b.x + b.width / 2, down > 0 ? b.y : b.y + b.height};
    if (from.x == to.x) return {from, to};
    const double middle = to.y - down * (kRow - kBoxHeight) / 2;
    return {from, {from.x, middle}, {to.x, middle}, to};
  }

  void draw_arrow(const std::vector<Point>& points, std::string_view attributes, std::string_view color) {
    std::string line;
    for (const Point& point : points)
      line += fmt::format("{}{:.1f} {:.1f}", line.empty() ? "M" : "L", point.x, point.y);
    svg_.path(line, fmt::format("fill=\"none\" {}", attributes));
    const Point tip = points.back(), before = points[points.size() - 2];
    const double length = std::max(std::abs(tip.x - before.x), std::abs(tip.y - before.y));
    const Point back{(before.x - tip.x) / length, (before.y - tip.y) / length};  // arrows end along an axis
    svg_.path(fmt::format("M{:.1f} {:.1f}l{:.1f} {:.1f}l{:.1f} {:.1f}z", tip.x, tip.y,
                          6 * back.x + 3.5 * back.y, 6 * back.y - 3.5 * back.x, -7 * back.y, 7 * back.x),
              fmt::format("fill=\"{}\"", color));
  }

  void draw_legend() {
    const double y = height() - kLegend / 2 + 4;
    double x = kLabels + kMargin;
    for (const BlockStyle& style : kStyles) {
      svg_.rectangle({x, y - 10, 16, 12},
                     fmt::format("rx=\"2\" fill=\"{}\" stroke=\"{}\"", style.fill, style.stroke));
      svg_.text(x + 22, y, "font-size=\"11\"", style.name);
      x += 36 + 6.4 * static_cast<double>(style.name.size());
    }
    draw_dot(x + 4, y - 4);
    svg_.text(x + 14, y, "font-size=\"11\"", "gets the time projection");
    x += 160;
    draw_arrow({{x, y - 4}, {x + 28, y - 4}},
               "stroke=\"#e69f00\" stroke-width=\"2\" stroke-dasharray=\"6 3\"", "#e69f00");
    svg_.text(x + 34, y, "font-size=\"11\"", "skip connection");
  }

  const Program& program_;
  std::vector<NetworkBlock> blocks_;
  Layout layout_;
  SvgDrawing svg_{width(), height()};
};

}  // namespace

std::vector<NetworkBlock> network_blocks(const Program& program) {
  std::vector<NetworkBlock> blocks;
  std::map<BufferId, size_t> producer;
  std::set<BufferId> counted;
  for (size_t index = 0; index < program.operations().size(); ++index) {
    const Operation& operation = program.operations()[index];
    if (operation.phase != Phase::kForward) continue;
    const std::string name = block_name(operation.name);
    if (blocks.empty() || blocks.back().name != name) blocks.emplace_back().name = name;
    const size_t here = blocks.size() - 1;
    NetworkBlock& block = blocks.back();
    block.operations.push_back(index);
    block.output = result_shape(program, operation);
    for (const Operand& operand : operands(operation.operation)) {
      if (operand.access != Access::kRead) {
        producer[operand.buffer] = here;
      } else if (program.buffer(operand.buffer).role == Role::kParameter) {
        if (counted.insert(operand.buffer).second)
          block.parameters += element_count(program.shape(operand.buffer));
      } else if (const auto found = producer.find(operand.buffer);
                 found != producer.end() && found->second != here) {
        insert_sorted(block.sources, found->second);
        if (is_image(program.shape(operand.buffer))) insert_sorted(block.image_sources, found->second);
      }
    }
  }
  return blocks;
}

std::string graph_svg(const Program& program, const std::string& title) {
  return GraphDrawing(program).draw(title);
}

}  // namespace ddpm
