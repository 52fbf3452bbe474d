#include "runtime/library/cold_timer.h"

#include "kernels/cuda/kernels.h"

namespace ddpm {
namespace {

// Twice the cache size would evict it, although its sets do not fill evenly. Four times keeps the GPU reading
// (200 MB take an H100 some 70 us) until the host has submitted the work, which takes tens of microseconds
// with cuDNN's descriptors: otherwise the measurement would include the wait for the host. In whole vectors.
size_t flushed_floats(size_t cache_bytes) {
  constexpr size_t kVectorBytes = 16;
  return (4 * cache_bytes + kVectorBytes - 1) / kVectorBytes * (kVectorBytes / sizeof(float));
}

}  // namespace

ColdTimer::ColdTimer(StreamView stream, size_t cache_bytes)
    : stream_(stream), zeros_(flushed_floats(cache_bytes)) {
  fill_bytes(zeros_.span(), 0, stream_);
}

double ColdTimer::seconds(const std::function<void()>& work) {
  // Read, not written: writing back dirty lines would slow the measured work.
  cuda::flush_cache(static_cast<int64_t>(zeros_.size()), zeros_.data(), stream_);
  begin_.record(stream_);
  work();
  end_.record(stream_);
  end_.synchronize();
  return 1e-3 * static_cast<double>(end_.milliseconds_since(begin_));
}

}  // namespace ddpm
