// NVTX ranges: named stretches of host work, which Nsight shows above the kernels launched in them. They do
// nothing if the CUDA toolkit was not found at configuration.
#pragma once

#ifdef DDPM_HAVE_NVTX
#include <nvtx3/nvToolsExt.h>
#endif

namespace ddpm {

class ProfileRange {
 public:
#ifdef DDPM_HAVE_NVTX
  explicit ProfileRange(const char* name) { nvtxRangePushA(name); }
  ~ProfileRange() { nvtxRangePop(); }
#else
  explicit ProfileRange(const char*) {}
#endif
  ProfileRange(const ProfileRange&) = delete;
  ProfileRange& operator=(const ProfileRange&) = delete;
};

}  // namespace ddpm
