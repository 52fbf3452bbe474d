// The ExecutorDevice of a GPU: our kernels and the vendor's libraries on one stream, each step captured as
// one graph. Independent of CUDA and the emulator: linking decides which of them runs it (device/stream.h).
#pragma once

#include <memory>

#include "device/bfloat16.h"
#include "device/stream.h"
#include "runtime/executor_device.h"
#include "runtime/gpu_options.h"
#include "runtime/library/vendor_library.h"

namespace ddpm {

// T, float or BFloat16, is the type of DType::kCompute and of the weights that library ops compute
// with. DType::kMaster is float.
//
// The first run() of a sequence of phases launches its operations one by one, which loads the kernels. The
// second captures them as a graph, and from then on each run is one graph launch, without allocation. It
// waits only for streamed bytes that are not read yet. With MeasuredForm::kGraph a graph with events around
// each operation takes turns with the plain one, beginning with the second run (runtime/gpu/graph_clock.h).
// With kEager every run launches its operations one by one.
//
// prepare() throws InputError for a shape that the GPU does not support. `stream` lets tests choose
// the emulator's thread order.
template <typename T>
std::unique_ptr<ExecutorDevice> make_gpu_device(std::unique_ptr<VendorLibrary> library,
                                                UpsampleForm upsample = UpsampleForm::kAuto,
                                                Stream stream = Stream());

extern template std::unique_ptr<ExecutorDevice> make_gpu_device<float>(std::unique_ptr<VendorLibrary>,
                                                                       UpsampleForm, Stream);
extern template std::unique_ptr<ExecutorDevice> make_gpu_device<BFloat16>(std::unique_ptr<VendorLibrary>,
                                                                          UpsampleForm, Stream);

}  // namespace ddpm
