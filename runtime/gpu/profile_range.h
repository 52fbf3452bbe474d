// Names for stretches of the host's work, which Nsight shows above the kernels that were started in them.
// Where the CUDA toolkit was not found when the project was configured, they do nothing.
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
