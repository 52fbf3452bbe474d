// The GPU that a benchmark measures: a CUDA device or the emulated one, which runs the same steps on any
// machine with meaningless times. Everything that differs between the two is declared here and implemented
// twice; a program links one of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace ddpm {

// The amount of work: small enough for the emulator, large enough for accurate figures on a GPU.
struct MeasuredSizes {
  size_t flush_bytes;  // read before each run: several times the L2 cache of any GPU
  size_t copy_bytes;   // of the copy that measures the bandwidth
  int64_t peak_side;   // of the square GEMM that measures the peak
  int warm_ups;        // the first run loads the kernel
  int iterations;
  int median_runs;  // of the copy and of the GEMM
};
MeasuredSizes measured_sizes();

struct MeasuredGpu {
  std::string name;
  int64_t l2_cache_bytes;
  bool emulated;
};
// Only if find_gpu() returned true.
MeasuredGpu measured_gpu();

// Whether there is a GPU; prints a message if there is none or if it is emulated.
bool find_gpu();

}  // namespace ddpm
