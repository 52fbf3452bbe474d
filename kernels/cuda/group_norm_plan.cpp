#include "kernels/cuda/group_norm_plan.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>
#include <span>

#include "kernels/cuda/check_arguments.h"
#include "kernels/dropout.h"
#include "support/error.h"

namespace ddpm::cuda {
namespace {

// Limits on a block: its shared memory and its threads.
struct Fit {
  size_t shared_bytes;
  int threads;
};
// Compute capability 9.0 has 228 KB, of which each block reserves 1 KB. Two or more blocks per
// multiprocessor, so that one computes while another waits for loads.
constexpr Fit kShares{113 * 1024, 256};
constexpr Fit kAlone{227 * 1024, kGroupNormMaxThreads};

// Bytes of a pixel's channels in a slice: a full cache line, half of one, or the least that a
// memory access moves.
constexpr int kRowBytes[] = {128, 64, 32};

// Below this, a block has too few loads in flight to hide its latency.
constexpr size_t kSmallTile = 16 * 1024;

// Two-phase: 8 vectors for each of 256 threads, and some 500 blocks in each range of units.
constexpr size_t kChunkBytes = 32 * 1024;

void check(const GroupNormParams& s, int width) {
  constexpr const char* kName = "group_norm";
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();
  require_in_range(kName, "number of images", s.n, 1, kMost);
  require_in_range(kName, "number of pixels", s.pixels, 1, kMost);
  require_multiple(kName, "number of channels", s.x_channels, width);
  if (s.skip_channels != 0)
    require_multiple(kName, "number of channels of the second source", s.skip_channels, width);
  require_in_range(kName, "number of groups", s.groups, 1, s.channels());
  require_multiple(kName, "number of channels", s.channels(), s.groups);
  require_in_range(kName, "number of elements per image", int64_t{s.pixels} * s.channels(), 1, kMost);
  if (!(s.dropout >= 0 && s.dropout < 1))
    throw_input("{}: dropout is {}; expected a value in [0, 1)", kName, s.dropout);
}

// The next wider slice of whole groups and whole vectors that divides the channels.
int wider_slice(const GroupNormPlan& plan, int slice) {
  const int unit = std::lcm(plan.width, plan.channels_per_group);
  do {
    slice += unit;
  } while (plan.channels % slice != 0);
  return slice;
}

// The narrowest slice with at least row_bytes per row, or all channels.
int slice_of_row(const GroupNormPlan& plan, int row_bytes) {
  int slice = wider_slice(plan, 0);
  while (slice < plan.channels && slice / plan.width * 16 < row_bytes) slice = wider_slice(plan, slice);
  return slice;
}

GroupNormPlan with_slice(GroupNormPlan plan, int slice, int images, int threads) {
  plan.slice = slice;
  plan.images = images;
  plan.rows = std::clamp(threads / (images * plan.vectors()), 1, plan.chunk);
  return plan;
}

bool fits(const GroupNormPlan& plan, int arrays, const Fit& fit) {
  return plan.threads() <= kGroupNormMaxThreads && plan.shared_bytes(arrays) <= fit.shared_bytes;
}

bool is_small(const GroupNormPlan& plan) { return plan.tiles * plan.tile_bytes() < kSmallTile; }

// For small images: gives a block more channels, which are contiguous, and then more images.
GroupNormPlan enlarge(GroupNormPlan plan, int arrays, const Fit& fit) {
  while (is_small(plan)) {
    const bool has_all_channels = plan.slice == plan.channels;
    const int slice = has_all_channels ? plan.slice : wider_slice(plan, plan.slice);
    const int images = has_all_channels ? 2 * plan.images : 1;
    const GroupNormPlan larger = with_slice(plan, slice, images, fit.threads);
    if (images > plan.params.n || larger.threads() > fit.threads || !fits(larger, arrays, fit)) break;
    plan = larger;
  }
  return plan;
}

std::optional<GroupNormPlan> resident_plan(const GroupNormPlan& start, int arrays, const Fit& fit,
                                           std::span<const int> widths) {
  for (const int row_bytes : widths) {
    const GroupNormPlan plan = with_slice(start, slice_of_row(start, row_bytes), 1, fit.threads);
    if (fits(plan, arrays, fit)) return enlarge(plan, arrays, fit);
  }
  return {};
}

GroupNormPlan two_phase_plan(GroupNormPlan plan, int arrays, GroupNormPass pass) {
  plan.path = GroupNormPath::kTwoPhase;
  plan.tiles = pass == GroupNormPass::kForward ? 1 : 0;  // the backward pass needs no deviations
  plan.slice = slice_of_row(plan, kRowBytes[0]);
  const size_t row_bytes = size_t(16) * plan.vectors();
  plan.chunk = std::clamp(int(kChunkBytes / row_bytes), 1, plan.params.pixels);
  plan = with_slice(plan, plan.slice, 1, kShares.threads);
  if (!fits(plan, arrays, kAlone))
    throw_input("group_norm: groups of {} channels are too wide for the GPU kernel", plan.channels_per_group);
  return plan;
}

}  // namespace

GroupNormPlan plan_group_norm(const GroupNormParams& params, int element_bytes, GroupNormPass pass,
                              const GroupNormTuning& tuning) {
  GroupNormPlan start{.params = params, .width = 16 / element_bytes};
  check(params, start.width);
  start.channels = params.channels();
  start.channels_per_group = params.channels_per_group();
  start.chunk = params.pixels;
  start.tiles = pass == GroupNormPass::kForward ? 1 : 2;
  start.dropout_threshold = dropout_threshold(params.dropout);
  start.kept_scale = float(dropout_kept_scale(start.dropout_threshold));
  const int arrays = pass == GroupNormPass::kForward ? kForwardArrays : kBackwardArrays;
  for (const Fit& fit : {kShares, kAlone})
    if (const auto plan = resident_plan(start, arrays, fit, kRowBytes)) return *plan;
  // Three tensors of traffic, where two phases move five.
  if (pass == GroupNormPass::kBackward)
    if (const auto plan = resident_plan(start, arrays, kAlone, {&tuning.least_row_bytes, 1})) return *plan;
  return two_phase_plan(start, arrays, pass);
}

int units_per_range(const GroupNormPlan& plan, GroupNormPass pass, const GroupNormTuning& tuning) {
  const size_t tensors = pass == GroupNormPass::kForward ? 1 : 2;
  const size_t unit_bytes = tensors * size_t(plan.params.pixels) * size_t(plan.vectors()) * 16;
  return int(std::clamp<size_t>(tuning.range_bytes / unit_bytes, 1, size_t(plan.units())));
}

}  // namespace ddpm::cuda
