// Takes everything out of the L2 cache. Depends on kernels/device/memory.h.
#pragma once

#include "kernels/device/memory.h"

namespace ddpm {

// Reads `zeros`, a whole number of vectors that should be several times the cache. What then fills it are
// unchanged lines: lines that were written would have to go back to memory while the next kernel is measured.
void flush_cache(DeviceSpan<float> zeros, StreamView stream);

}  // namespace ddpm
