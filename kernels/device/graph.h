// Whole-step CUDA graphs: capturing a stream's work and running it again. Depends on the CUDA runtime; there
// is no emulated twin (the emulator launches at once).
#pragma once

#include <cuda_runtime_api.h>

#include "kernels/device/stream.h"

namespace ddpm {

// A captured graph; made by GraphCapture::finish.
class Graph {
 public:
  explicit Graph(cudaGraph_t graph) : graph_(graph) {}
  ~Graph();
  Graph(Graph&& other) noexcept : graph_(other.graph_) { other.graph_ = nullptr; }
  Graph& operator=(Graph&&) = delete;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  cudaGraph_t get() const { return graph_; }

 private:
  cudaGraph_t graph_;
};

// While it lives, work given to `stream` is recorded instead of run. If the recording throws, the destructor
// ends the capture and drops what was recorded.
//
//   GraphCapture capture(stream);
//   executor.step(stream);
//   executable.update(std::move(capture).finish());
class GraphCapture {
 public:
  explicit GraphCapture(StreamView stream);
  ~GraphCapture();
  GraphCapture(const GraphCapture&) = delete;
  GraphCapture& operator=(const GraphCapture&) = delete;

  // Ends the capture; throws CudaError where the work could not be captured.
  Graph finish() &&;

 private:
  StreamView stream_;
  bool capturing_ = true;
};

// A graph that is ready to run.
class ExecutableGraph {
 public:
  ExecutableGraph() = default;
  ~ExecutableGraph();
  ExecutableGraph(const ExecutableGraph&) = delete;
  ExecutableGraph& operator=(const ExecutableGraph&) = delete;

  // Makes this graph do what `graph` does. A graph of the same shape only has its parameters replaced, which
  // takes microseconds; any other is instantiated anew.
  void update(const Graph& graph);
  // Runs it once in stream order. update() must have been called.
  void launch(StreamView stream) const;

 private:
  void reset() noexcept;

  cudaGraphExec_t executable_ = nullptr;
};

}  // namespace ddpm
