// The sum of two activations.
#pragma once

#include <cstdint>

#include "kernels/operation.h"

namespace ddpm {

// y = a + b, element by element (count); y may be a or b.
template <typename T>
struct AddArgs {
  const T* a;
  const T* b;
  T* y;
};

namespace reference {
template <typename T>
void add(int64_t count, const T* a, const T* b, T* y);
}

namespace cuda {
template <typename T>
void add(int64_t count, const T* a, const T* b, T* y, StreamView stream);  // elementwise.cu. Any count.
}

struct Add {
  int64_t count;
  BufferId a, b, y = kNoBuffer;

  static constexpr const char* kKind = "add";
  template <typename Memory>
  auto args(Memory&& m) const {
    return AddArgs<ComputeType<Memory>>{.a = m.read("a", a), .b = m.read("b", b), .y = m.write("y", y, a)};
  }
  Cost cost(int element_bytes) const { return {double(count), 3.0 * element_bytes * double(count)}; }
  ErrorGrowth error_growth(BufferId /*result*/) const { return {}; }
  template <typename T>
  void compute(const AddArgs<T>& args) const {
    reference::add<T>(count, args.a, args.b, args.y);
  }
  template <typename T>
  void launch(const AddArgs<T>& args, const LaunchOn& on) const {
    cuda::add<T>(count, args.a, args.b, args.y, on.stream);
  }
};

}  // namespace ddpm
