// The user's options for computing on a GPU; explained in docs/gpu.md.
#pragma once

#include <cstdint>
#include <string>

namespace ddpm {

// How to compute a convolution of a nearest-upsampled image.
enum class UpsampleForm : uint8_t {
  kFolded,   // 2.25 times fewer multiply-adds; sums of bf16 weights are rounded once more
  kNearest,  // convolve an upsampled copy
  kAuto,     // whichever is faster on this GPU, by layer; kFolded if nothing is measured
};

// How to choose among the plans of cuDNN and cuBLASLt for a convolution or GEMM.
enum class PlanChoice : uint8_t {
  kMeasured,       // the fastest on this GPU; cached, since two measurements may differ
  kFirstProposed,  // the first that the libraries' heuristics propose: immediate and repeatable
};

// What to do with a plan whose results are wrong or differ from run to run.
enum class PlanCheck : uint8_t {
  kRefuse,  // use another plan
  kWarn,    // use it, and log what is wrong
  kOff,     // do not check
};

// Each option can change the last bits of results; the cache does so through the plans it holds.
struct GpuOptions {
  UpsampleForm upsample = UpsampleForm::kAuto;
  PlanChoice plan_choice = PlanChoice::kMeasured;
  PlanCheck plan_check = PlanCheck::kRefuse;
  std::string plan_cache = "default";  // a file, "default" (in the user's cache folder) or "none"
  int workspace_mb = 128;              // limit for a plan, in MiB
};

}  // namespace ddpm
