// The GPU that a benchmark measures: CUDA's, or the emulated one, on which a benchmark goes through the
// same steps on any machine and its times mean nothing. All that differs between the two is here;
// implemented twice, and a program links one of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace ddpm {

// How much is measured. Small enough for the emulator there, large and often enough for sound figures here.
struct MeasuredSizes {
  size_t flush_bytes;  // read before each run: several times the L2 cache of any GPU that this runs on
  size_t copy_bytes;   // of the copy that tells the bandwidth
  int64_t peak_side;   // of the matrices whose product tells the peak
  int warm_ups;        // the first run loads the kernel
  int iterations;
  int median_runs;  // of the copy and of the peak's product
};
MeasuredSizes measured_sizes();

struct MeasuredGpu {
  std::string name;
  int64_t l2_cache_bytes;
  bool emulated;
};
// Only where find_gpu() found it.
MeasuredGpu measured_gpu();

// Whether there is a GPU. Says so where there is none, and where it is emulated.
bool find_gpu();

}  // namespace ddpm
