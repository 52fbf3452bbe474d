// Graphs on the CUDA runtime; kernels/emulator/graph.cpp is the twin without a GPU.
#include "kernels/device/graph.h"

#include <utility>

#include "kernels/device/cuda_check.h"
#include "support/error.h"

namespace ddpm {

Graph::~Graph() {
  if (graph_ != nullptr) DDPM_CUDA_CHECK_NOTHROW(cudaGraphDestroy(graph_));
}

// Thread-local: other threads (the data loader, the logger) may call the runtime while this one records.
GraphCapture::GraphCapture(StreamView stream) : stream_(stream) {
  DDPM_CUDA_CHECK(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal));
}

GraphCapture::~GraphCapture() {
  if (!capturing_) return;
  cudaGraph_t graph = nullptr;
  // Only reached when an exception is on its way, and the capture may well be invalid: its code says nothing
  // new.
  static_cast<void>(cudaStreamEndCapture(stream_.get(), &graph));
  static_cast<void>(cudaGetLastError());  // else the runtime remembers it, and other libraries find it
  if (graph != nullptr) DDPM_CUDA_CHECK_NOTHROW(cudaGraphDestroy(graph));
}

Graph GraphCapture::finish() && {
  DDPM_CHECK(capturing_);
  capturing_ = false;
  cudaGraph_t graph = nullptr;
  DDPM_CUDA_CHECK(cudaStreamEndCapture(stream_.get(), &graph));
  return Graph(graph);
}

ExecutableGraph::~ExecutableGraph() { reset(); }

void ExecutableGraph::reset() noexcept {
  if (executable_ != nullptr)
    DDPM_CUDA_CHECK_NOTHROW(cudaGraphExecDestroy(std::exchange(executable_, nullptr)));
}

void ExecutableGraph::update(const Graph& graph) {
  if (executable_ != nullptr) {
    cudaGraphExecUpdateResultInfo result{};
    const cudaError_t code = cudaGraphExecUpdate(executable_, graph.get(), &result);
    if (code == cudaSuccess) return;
    if (code != cudaErrorGraphExecUpdateFailure) DDPM_CUDA_CHECK(code);
    static_cast<void>(
        cudaGetLastError());  // the shape differs: no error, but the runtime remembers it as one
    reset();
  }
  DDPM_CUDA_CHECK(cudaGraphInstantiate(&executable_, graph.get(), 0));
}

void ExecutableGraph::launch(StreamView stream) const {
  DDPM_CHECK(executable_ != nullptr);
  DDPM_CUDA_CHECK(cudaGraphLaunch(executable_, stream.get()));
}

}  // namespace ddpm
