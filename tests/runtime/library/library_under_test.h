// The library that lowered programs are tested with: each test program defines one. Tests only.
#pragma once

#include <map>
#include <memory>

#include "device/memory.h"
#include "runtime/gpu/plain_library.h"
#include "runtime/library/lowering.h"

namespace ddpm {

// A vendor's library decides for itself what it fuses, whatever the test wants.
std::unique_ptr<VendorLibrary> library_under_test(Fusion fusion);

// How far the library's sum of `terms` products, each below 1, may be from the exact one.
double summation_error(double terms);

// Lowers the program, prepares the library for it and runs every operation once.
template <typename T>
void run_lowered(const Program& program, VendorLibrary& library, const std::map<BufferId, void*>& buffers,
                 StreamView stream, UpsampleForm upsample = UpsampleForm::kAuto) {
  const MemoryPlan plan = plan_memory(program, {.compute = sizeof(T), .master = sizeof(float)});
  const UpsampleForms forms(upsample);
  library.prepare(lower<T>(program, plan, forms).problems(), stream);
  const LaunchList<T> list = lower<T>(program, plan, forms, &library);
  const DeviceBuffer<std::byte> scratch(list.scratch_bytes);
  const Addresses<T> addresses(buffers, scratch.data());
  for (const auto& operation : bind(list, program.operations().size(), addresses, library))
    for (const LaunchFunction& launch : operation) launch(stream);
  stream.synchronize();  // the scratch memory goes
}

}  // namespace ddpm
