// Each operation of a program as kernels and products on a stream.
#pragma once

#include <cstddef>

#include "runtime/gpu/gpu_memory.h"
#include "runtime/library/composed_products.h"

namespace ddpm {

// Scratch memory that the operation's kernels need, at the most; products have their own.
size_t scratch_bytes(const AnyOperation& operation);

// What an operation works with; operations run one after another, so they share the scratch memory.
template <typename T>
struct LaunchContext {
  const GpuMemory<T>& memory;
  ComposedProducts<T>& products;
  void* scratch;  // of scratch_bytes at least, for each operation
  StreamView stream;
};

template <typename T>
void launch_operation(const AnyOperation& operation, const LaunchContext<T>& context);

extern template void launch_operation(const AnyOperation&, const LaunchContext<float>&);
extern template void launch_operation(const AnyOperation&, const LaunchContext<BFloat16>&);

}  // namespace ddpm
