// launch(): starts every kernel, on the GPU and in the emulator. For .cu files only.
#pragma once

#include <tuple>
#include <type_traits>

#include "device/launch_config.h"

#ifndef DDPM_EMULATOR
#include "device/allow_shared_memory.h"
#include "device/cuda_check.h"
#endif

namespace ddpm {

// Starts kernel(arguments...) on config.stream and returns immediately (the emulator returns when it is
// done). Throws LaunchError if the launch exceeds the GPU's limits, CudaError if the driver rejects it, and
// in the emulator EmulatorError if the kernel breaks CUDA's rules.
//
//   launch(scale_kernel<T>, {.grid = ceil_div(n, 256), .block = 256, .stream = stream}, x, n);
template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), const LaunchConfig& config, Arguments&&... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments),
                "one argument for each of the kernel's parameters");
  static_assert((std::is_trivially_copyable_v<Parameters> && ...), "kernel parameters are copied as bytes");
  check_launch_limits(config);
#ifdef DDPM_EMULATOR
  emulator::submit(
      config.stream,
      [kernel, config, values = std::tuple<Parameters...>(static_cast<Parameters>(arguments)...)] {
        const auto body = [&] { std::apply(kernel, values); };
        emulator::run(config, emulator::KernelBody(body));
      });
#else
  detail::allow_shared_memory(reinterpret_cast<const void*>(kernel), config);
  cudaLaunchConfig_t native{};
  native.gridDim = dim3(static_cast<unsigned>(config.grid.x), static_cast<unsigned>(config.grid.y),
                        static_cast<unsigned>(config.grid.z));
  native.blockDim = dim3(static_cast<unsigned>(config.block.x), static_cast<unsigned>(config.block.y),
                         static_cast<unsigned>(config.block.z));
  native.dynamicSmemBytes = config.shared_bytes;
  native.stream = config.stream.get();
  DDPM_CUDA_CHECK(cudaLaunchKernelEx(&native, kernel, static_cast<Parameters>(arguments)...));
#endif
}

}  // namespace ddpm
