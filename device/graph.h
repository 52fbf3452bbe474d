// Whole-step CUDA graphs: capturing a stream's work and running it again. Implemented twice:
// device/cuda/graph.cpp, and device/emulator/graph.cpp, which keeps launches, copies and fills with their
// arguments as they are then.
#pragma once

#include "device/graph_nodes.h"
#include "device/stream.h"

// cudaGraph_t and cudaGraphExec_t are pointers to these.
struct CUgraph_st;
struct CUgraphExec_st;

namespace ddpm {

using GraphHandle = CUgraph_st*;
using ExecutableGraphHandle = CUgraphExec_st*;

// A captured graph; made by GraphCapture::finish.
class Graph {
 public:
  explicit Graph(GraphHandle graph) : graph_(graph) {}
  ~Graph();
  Graph(Graph&& other) noexcept : graph_(other.graph_) { other.graph_ = nullptr; }
  Graph& operator=(Graph&&) = delete;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  GraphHandle get() const { return graph_; }
  // Counts them; for reports.
  GraphNodes nodes() const;

 private:
  GraphHandle graph_;
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

  bool is_empty() const { return executable_ == nullptr; }
  // Makes this graph do what `graph` does. A graph of the same shape only has its parameters replaced, which
  // takes microseconds; any other is instantiated anew.
  void update(const Graph& graph);
  // Runs it once in stream order. update() must have been called.
  void launch(StreamView stream) const;

 private:
  void reset() noexcept;

  ExecutableGraphHandle executable_ = nullptr;
};

}  // namespace ddpm
