// The GPU as what an Executor runs on: our kernels and the vendor's libraries on one stream, a whole step captured as one
// graph. It knows neither CUDA nor the emulator: which of the two it runs on is decided by what the program is linked
// with (device/stream.h).
#pragma once

#include <memory>

#include "device/bfloat16.h"
#include "device/stream.h"
#include "runtime/executor_device.h"
#include "runtime/gpu_options.h"
#include "runtime/library/vendor_library.h"

namespace ddpm {

// T, float or BFloat16, is the type of DType::kCompute and of the weights that library ops compute with. Masters are
// float.
//
// The first run() of a sequence of phases launches it operation by operation, which loads the kernels; the second
// captures it as a graph, and from then on a run is one launch that allocates nothing and waits for nothing.
// Measuring begins with the graph: the first run is not measured, and from the second on a graph with events around each
// operation takes turns with the plain one (runtime/gpu/graph_clock.h). In the form kEager every run launches operation
// by operation.
//
// InputError, when a program is prepared, for a shape that nothing here can compute. Tests choose the emulator's order
// of threads by the stream.
template <typename T>
std::unique_ptr<ExecutorDevice> make_gpu_device(std::unique_ptr<VendorLibrary> library,
                                                UpsampleForm upsample = UpsampleForm::kAuto,
                                                Stream stream = Stream());

extern template std::unique_ptr<ExecutorDevice> make_gpu_device<float>(std::unique_ptr<VendorLibrary>,
                                                                       UpsampleForm, Stream);
extern template std::unique_ptr<ExecutorDevice> make_gpu_device<BFloat16>(std::unique_ptr<VendorLibrary>,
                                                                          UpsampleForm, Stream);

}  // namespace ddpm
