// How a GPU computes, as users choose it: what docs/gpu.md explains.
#pragma once

#include <cstdint>
#include <string>

namespace ddpm {

// How a convolution of a nearest-upsampled image is computed.
enum class UpsampleForm : uint8_t {
  kFolded,   // 2.25 times fewer multiply-adds; bf16 weights are summed before they are rounded again
  kNearest,  // literally
  kAuto,     // whichever is faster on this GPU, layer by layer; folded where nothing is measured
};

// How one among the ways (plans) in which cuDNN and cuBLASLt can compute a product is chosen.
enum class PlanChoice : uint8_t {
  kMeasured,       // the fastest on this GPU; kept in the cache, for two measurements may differ
  kFirstProposed,  // by the libraries' heuristics: at once, and always the same
};

// What becomes of a plan whose results are not what plain kernels compute, or differ from run to run.
enum class PlanCheck : uint8_t {
  kRefuse,  // another one is taken
  kWarn,    // it is taken, and a line of log says what is wrong
  kOff,     // nobody looks
};

// All of these change the last bits of results, the cache by the plans that it holds.
struct GpuOptions {
  UpsampleForm upsample = UpsampleForm::kAuto;
  PlanChoice plan_choice = PlanChoice::kMeasured;
  PlanCheck plan_check = PlanCheck::kRefuse;
  std::string plan_cache = "default";  // a file, or: default (the user's cache folder), none (kept nowhere)
  int workspace_mb = 128;              // the most that a plan may take, in MiB
};

}  // namespace ddpm
