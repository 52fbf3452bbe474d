// Graphs on the CUDA runtime; the emulator's counterpart is device/emulator/graph.cpp.
#include "device/graph.h"

#include <utility>
#include <vector>

#include "device/cuda_check.h"
#include "support/error.h"

namespace ddpm {
namespace {

void count_nodes(cudaGraph_t graph, GraphNodes& count) {
  size_t size = 0;
  DDPM_CUDA_CHECK(cudaGraphGetNodes(graph, nullptr, &size));
  std::vector<cudaGraphNode_t> nodes(size);
  DDPM_CUDA_CHECK(cudaGraphGetNodes(graph, nodes.data(), &size));
  for (const cudaGraphNode_t node : nodes) {
    cudaGraphNodeType type{};
    DDPM_CUDA_CHECK(cudaGraphNodeGetType(node, &type));
    switch (type) {
      case cudaGraphNodeTypeKernel:
        ++count.kernels;
        break;
      case cudaGraphNodeTypeMemset:
        ++count.memsets;
        break;
      case cudaGraphNodeTypeMemcpy:
        ++count.copies;
        break;
      case cudaGraphNodeTypeEventRecord:
        ++count.events;
        break;
      case cudaGraphNodeTypeGraph: {
        cudaGraph_t inner = nullptr;
        DDPM_CUDA_CHECK(cudaGraphChildGraphNodeGetGraph(node, &inner));
        count_nodes(inner, count);
        break;
      }
      default:
        ++count.others;
    }
  }
}

}  // namespace

Graph::~Graph() {
  if (graph_ != nullptr) DDPM_CUDA_CHECK_NOTHROW(cudaGraphDestroy(graph_));
}

GraphNodes Graph::nodes() const {
  GraphNodes count;
  if (graph_ != nullptr) count_nodes(graph_, count);
  return count;
}

// Thread-local mode: other threads (the data loader, the logger) may call the runtime during the capture.
GraphCapture::GraphCapture(StreamView stream) : stream_(stream) {
  DDPM_CUDA_CHECK(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal));
}

GraphCapture::~GraphCapture() {
  if (!capturing_) return;
  cudaGraph_t graph = nullptr;
  // Only reached while an exception propagates; the capture may well be invalid, so its error
  // code adds nothing.
  static_cast<void>(cudaStreamEndCapture(stream_.get(), &graph));
  static_cast<void>(cudaGetLastError());  // else the runtime remembers the error, and other libraries see it
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
    static_cast<void>(cudaGetLastError());  // another topology is no error, but the runtime remembers one
    reset();
  }
  DDPM_CUDA_CHECK(cudaGraphInstantiate(&executable_, graph.get(), 0));
}

void ExecutableGraph::launch(StreamView stream) const {
  DDPM_CHECK(executable_ != nullptr);
  DDPM_CUDA_CHECK(cudaGraphLaunch(executable_, stream.get()));
}

}  // namespace ddpm
