#include "runtime/library/plan_statistics.h"

#include <fmt/format.h>

namespace ddpm {

std::string library_ops_text(int64_t count) {
  return count == 1 ? "1 convolution or GEMM" : fmt::format("{} convolutions and GEMMs", count);
}

std::string to_string(const PlanStatistics& s) {
  std::string text =
      fmt::format("prepared {}: {} plan{} proposed, {} built in {:.1f} s", library_ops_text(s.problems),
                  s.proposed, s.proposed == 1 ? "" : "s", s.built, s.proposing_seconds);
  if (s.measuring_seconds > 0) text += fmt::format(", measured in {:.1f} s", s.measuring_seconds);
  if (s.checking_seconds > 0) text += fmt::format(", checked in {:.1f} s", s.checking_seconds);
  if (s.refused > 0) text += fmt::format(" ({} refused)", s.refused);
  if (s.unusable > 0)
    text += fmt::format("; {} cached plan{} could not be restored", s.unusable, s.unusable == 1 ? "" : "s");
  return text;
}

}  // namespace ddpm
