// Streams, events and memory on the CUDA runtime; the emulator's counterpart is device/emulator/runtime.cpp.
#include "device/cuda_check.h"
#include "device/memory.h"
#include "device/stream.h"

namespace ddpm {

void StreamView::synchronize() const { DDPM_CUDA_CHECK(cudaStreamSynchronize(handle_)); }

void StreamView::wait(const Event& event) const {
  DDPM_CUDA_CHECK(cudaStreamWaitEvent(handle_, event.get()));
}

Stream::Stream() : handle_(nullptr) {
  DDPM_CUDA_CHECK(cudaStreamCreateWithFlags(&handle_, cudaStreamNonBlocking));
}

Stream::~Stream() {
  if (handle_ != nullptr) DDPM_CUDA_CHECK_NOTHROW(cudaStreamDestroy(handle_));
}

Event::Event(EventUse use) : handle_(nullptr) {
  const unsigned flags = use == EventUse::kTiming ? static_cast<unsigned>(cudaEventDefault)
                                                  : cudaEventDisableTiming | cudaEventBlockingSync;
  DDPM_CUDA_CHECK(cudaEventCreateWithFlags(&handle_, flags));
}

Event::~Event() {
  if (handle_ != nullptr) DDPM_CUDA_CHECK_NOTHROW(cudaEventDestroy(handle_));
}

void Event::record(StreamView stream) { DDPM_CUDA_CHECK(cudaEventRecord(handle_, stream.get())); }

void Event::record_in_graph(StreamView stream) {
  DDPM_CUDA_CHECK(cudaEventRecordWithFlags(handle_, stream.get(), cudaEventRecordExternal));
}

void Event::synchronize() const { DDPM_CUDA_CHECK(cudaEventSynchronize(handle_)); }

float Event::milliseconds_since(const Event& start) const {
  float milliseconds = 0;
  DDPM_CUDA_CHECK(cudaEventElapsedTime(&milliseconds, start.handle_, handle_));
  return milliseconds;
}

namespace detail {

void* allocate_device(size_t bytes) {
  void* pointer = nullptr;
  if (bytes > 0) DDPM_CUDA_CHECK(cudaMalloc(&pointer, bytes));
  return pointer;
}

void free_device(void* pointer) noexcept {
  if (pointer != nullptr) DDPM_CUDA_CHECK_NOTHROW(cudaFree(pointer));
}

void* allocate_pinned(size_t bytes) {
  void* pointer = nullptr;
  if (bytes > 0) DDPM_CUDA_CHECK(cudaMallocHost(&pointer, bytes));
  return pointer;
}

void free_pinned(void* pointer) noexcept {
  if (pointer != nullptr) DDPM_CUDA_CHECK_NOTHROW(cudaFreeHost(pointer));
}

void copy_async(void* to, const void* from, size_t bytes, StreamView stream) {
  if (bytes > 0) DDPM_CUDA_CHECK(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream.get()));
}

void fill_async(void* to, int byte, size_t bytes, StreamView stream) {
  if (bytes > 0) DDPM_CUDA_CHECK(cudaMemsetAsync(to, byte, bytes, stream.get()));
}

}  // namespace detail
}  // namespace ddpm
