// main() of benchmarks that register themselves.
#include <filesystem>

#include "apps/app.h"
#include "bench/kernels/gpu_benchmark.h"

int main(int argc, char** argv) {
  return ddpm::run_app(std::filesystem::path(argv[0]).filename().c_str(), [&] {
    if (!ddpm::find_gpu()) return 0;
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    ddpm::run_gpu_benchmarks();
    return 0;
  });
}
