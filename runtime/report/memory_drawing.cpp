#include "runtime/report/memory_drawing.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <variant>

#include "support/charts/svg.h"

namespace ddpm {
namespace {

// Kinds of blocks, by the operation that writes them first. Fills are from Okabe and Ito's palette, which
// color-blind readers can tell apart.
struct Content {
  std::string_view name;
  std::string_view fill;
  std::string_view ink;  // of text on it
};
enum ContentIndex : uint8_t { kConvolution, kNormalised, kAttention, kTime, kGradient, kOther, kContents };
constexpr std::array<Content, kContents> kContentTable = {{{"convolution output", "#56b4e9", "#000000"},
                                                           {"group norm output", "#0072b2", "#ffffff"},
                                                           {"attention", "#d55e00", "#ffffff"},
                                                           {"time embedding", "#cc79a7", "#000000"},
                                                           {"gradient", "#e69f00", "#000000"},
                                                           {"other", "#999999", "#000000"}}};

ContentIndex content_of(const Operation& producer) {
  if (producer.phase == Phase::kBackward) return kGradient;
  const AnyOperation& operation = producer.operation;
  if (std::holds_alternative<Conv2d>(operation) || std::holds_alternative<UpsampleConv2d>(operation))
    return kConvolution;
  if (std::holds_alternative<GroupNorm>(operation)) return kNormalised;
  if (std::holds_alternative<Attention>(operation)) return kAttention;
  if (std::holds_alternative<Linear>(operation) || std::holds_alternative<TimeEmbedding>(operation))
    return kTime;
  return kOther;
}

struct Unit {
  double size;
  std::string_view name;
};
Unit unit_for(int64_t bytes) {
  if (bytes >= 10'000'000'000) return {1e9, "GB"};
  if (bytes >= 1'000'000) return {1e6, "MB"};
  return {1e3, "kB"};
}

// 1, 2 or 5 times a power of ten, so that at most `most` steps cover the range.
double tick_step(double range, int most) {
  const double least = range / most, power = std::pow(10.0, std::floor(std::log10(least)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (least <= factor * power) return factor * power;
  return 10 * power;
}

class MemoryDrawing {
 public:
  MemoryDrawing(const Program& program, const MemoryPlan& plan) : program_(program), plan_(plan) {}

  std::string draw(const std::string& title) {
    svg_.text(kWidth / 2, 26, "text-anchor=\"middle\" font-size=\"16\" font-weight=\"bold\"", title);
    svg_.text(kWidth / 2, 46, "text-anchor=\"middle\" fill=\"#555555\"", sizes());
    draw_address_axis();
    for (const MemoryBlock& block : memory_blocks(plan_)) draw_block(block);
    draw_time_axis();
    draw_lower_bound();
    draw_legend();
    return svg_.finish();
  }

 private:
  static constexpr double kWidth = 1100, kHeight = 620;
  static constexpr double kLeft = 76, kRight = kWidth - 24, kTop = 62, kBottom = kHeight - 96;

  double operations() const { return std::max<double>(1, static_cast<double>(program_.operations().size())); }
  double bytes() const { return std::max<double>(1, static_cast<double>(plan_.arena_bytes)); }
  double x(double operation) const { return kLeft + operation / operations() * (kRight - kLeft); }
  double y(double offset) const { return kBottom - offset / bytes() * (kBottom - kTop); }

  std::string sizes() const {
    const Unit unit = unit_for(plan_.bytes_without_reuse);
    const auto size = [&](int64_t value) {
      return fmt::format("{:.2f} {}", static_cast<double>(value) / unit.size, unit.name);
    };
    return fmt::format("activations: {} in one arena, {} without reuse, at least {}", size(plan_.arena_bytes),
                       size(plan_.bytes_without_reuse), size(plan_.lower_bound));
  }

  void draw_address_axis() {
    const Unit unit = unit_for(plan_.arena_bytes);
    const double step = tick_step(bytes() / unit.size, 8);
    for (double tick = 0; tick * unit.size <= bytes(); tick += step) {
      const double at = y(tick * unit.size);
      svg_.path(fmt::format("M{:.1f} {:.1f}H{:.1f}", kLeft, at, kRight), "stroke=\"#e4e4e4\"");
      svg_.text(kLeft - 8, at + 4, "text-anchor=\"end\"", fmt::format("{:g}", tick));
    }
    const double center = (kTop + kBottom) / 2;
    svg_.text(20, center, fmt::format("text-anchor=\"middle\" transform=\"rotate(-90 20 {:.1f})\"", center),
              fmt::format("offset in the arena, {}", unit.name));
  }

  void draw_block(const MemoryBlock& block) {
    const SvgBox box{x(block.first), y(static_cast<double>(block.offset + block.bytes)),
                     x(block.last + 1) - x(block.first),
                     static_cast<double>(block.bytes) / bytes() * (kBottom - kTop)};
    const Content& content =
        kContentTable[content_of(program_.operations()[static_cast<size_t>(block.first)])];
    constexpr double kOutlined = 3;  // thinner boxes would vanish in their white outline
    svg_.rectangle(box,
                   fmt::format("class=\"activation\" fill=\"{}\"{}", content.fill,
                               box.height > kOutlined ? " stroke=\"#ffffff\" stroke-width=\"0.5\"" : ""),
                   tooltip(block));
    draw_name(block, box, content.ink);
  }

  std::string tooltip(const MemoryBlock& block) const {
    std::string names;
    for (const BufferId id : block.buffers) names += (names.empty() ? "" : ", ") + program_.buffer(id).name;
    return fmt::format("{}: {:.3f} MB, operations {} to {}", names, static_cast<double>(block.bytes) * 1e-6,
                       block.first, block.last);
  }

  // Labels the rectangle if the name fits.
  void draw_name(const MemoryBlock& block, const SvgBox& box, std::string_view ink) {
    constexpr double kFontSize = 8, kCharacterWidth = 0.56 * kFontSize;
    const std::string& name = program_.buffer(block.buffers[0]).name;
    if (box.height < kFontSize + 1 || box.width < static_cast<double>(name.size() + 2) * kCharacterWidth)
      return;
    svg_.text(box.x + 4, box.y + box.height / 2 + kFontSize * 0.36,
              fmt::format("font-size=\"{}\" fill=\"{}\" pointer-events=\"none\"", kFontSize, ink), name);
  }

  // Ticks every so many operations, and the phases as sections.
  void draw_time_axis() {
    const double step = std::max(1.0, tick_step(operations(), 12));
    for (double tick = 0; tick <= operations(); tick += step)
      svg_.text(x(tick), kBottom + 16, "text-anchor=\"middle\"", fmt::format("{:g}", tick));
    svg_.path(fmt::format("M{:.1f} {:.1f}V{:.1f}H{:.1f}", kLeft, kTop, kBottom, kRight),
              "fill=\"none\" stroke=\"#555555\"");
    const std::vector<Operation>& all = program_.operations();
    for (size_t begin = 0, end = 0; begin < all.size(); begin = end) {
      while (end < all.size() && all[end].phase == all[begin].phase) ++end;
      draw_phase(all[begin].phase, static_cast<double>(begin), static_cast<double>(end));
    }
    svg_.text((kLeft + kRight) / 2, kBottom + 54, "text-anchor=\"middle\"",
              "operation, in order of execution");
  }

  void draw_phase(Phase phase, double begin, double end) {
    if (begin > 0)
      svg_.path(fmt::format("M{:.1f} {:.1f}V{:.1f}", x(begin), kTop, kBottom + 34),
                "stroke=\"#222222\" stroke-dasharray=\"2 3\"");
    constexpr double kLeastWidth = 60;  // of the phase's name
    if (x(end) - x(begin) > kLeastWidth)
      svg_.text((x(begin) + x(end)) / 2, kBottom + 34, "text-anchor=\"middle\" font-weight=\"bold\"",
                kPhaseNames[static_cast<size_t>(phase)]);
  }

  void draw_lower_bound() {
    const double at = y(static_cast<double>(plan_.lower_bound));
    svg_.path(fmt::format("M{:.1f} {:.1f}H{:.1f}", kLeft, at, kRight),
              "fill=\"none\" stroke=\"#222222\" stroke-width=\"1.2\" stroke-dasharray=\"7 4\"");
  }

  void draw_legend() {
    constexpr double kEntry = 150, kSwatch = 12;
    const double top = kHeight - 24;
    double at = kLeft;
    for (const Content& content : kContentTable) {
      svg_.rectangle({at, top - 10, kSwatch, kSwatch}, fmt::format("fill=\"{}\"", content.fill));
      svg_.text(at + kSwatch + 6, top, "", content.name);
      at += kEntry;
    }
    svg_.path(fmt::format("M{:.1f} {:.1f}h24", at, top - 4),
              "stroke=\"#222222\" stroke-width=\"1.2\" stroke-dasharray=\"7 4\"");
    svg_.text(at + 30, top, "", "lower bound");
  }

  const Program& program_;
  const MemoryPlan& plan_;
  SvgDrawing svg_{kWidth, kHeight};
};

}  // namespace

std::vector<MemoryBlock> memory_blocks(const MemoryPlan& plan) {
  std::vector<BufferId> placed;
  for (size_t i = 0; i < plan.placements.size(); ++i)
    if (plan.placements[i].offset >= 0) placed.push_back(static_cast<BufferId>(i));
  const auto placement = [&](BufferId id) { return plan.placements[static_cast<size_t>(id)]; };
  std::stable_sort(placed.begin(), placed.end(), [&](BufferId a, BufferId b) {
    const Placement left = placement(a), right = placement(b);
    return left.offset != right.offset ? left.offset < right.offset : left.first < right.first;
  });
  std::vector<MemoryBlock> blocks;
  for (const BufferId id : placed) {
    const Placement next = placement(id);
    // Two lifetimes that share an operation and an address must be a takeover in place.
    if (!blocks.empty() && blocks.back().offset == next.offset && next.first <= blocks.back().last) {
      MemoryBlock& block = blocks.back();
      block.buffers.push_back(id);
      block.bytes = std::max(block.bytes, next.bytes);
      block.last = std::max(block.last, next.last);
    } else {
      blocks.push_back({{id}, next.offset, next.bytes, next.first, next.last});
    }
  }
  return blocks;
}

std::string memory_plan_svg(const Program& program, const MemoryPlan& plan, const std::string& title) {
  return MemoryDrawing(program, plan).draw(title);
}

}  // namespace ddpm
