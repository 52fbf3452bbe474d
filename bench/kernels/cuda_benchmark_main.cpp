// The main of benchmarks that register themselves.
#include "bench/kernels/cuda_benchmark.h"

int main(int argc, char** argv) {
  if (!ddpm::find_gpu()) return 0;
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  ddpm::run_cuda_benchmarks();
  return 0;
}
