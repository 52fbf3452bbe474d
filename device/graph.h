// CUDA graphs of whole steps: capture a stream's work and replay it. Implemented twice: in
// device/cuda/graph.cpp and, for the emulator, in device/emulator/graph.cpp, which records launches, copies
// and fills with their arguments.
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
  // Counts the nodes, for reports.
  GraphNodes nodes() const;

 private:
  GraphHandle graph_;
};

// Records the work given to `stream` during its lifetime instead of running it. If recording throws, the
// destructor ends the capture and discards what was recorded.
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

  // Ends the capture. Throws CudaError if the work cannot be captured.
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
  // Replaces the work with that of `graph`. A graph of the same topology only updates parameters, which takes
  // microseconds; any other is instantiated anew.
  void update(const Graph& graph);
  // Runs the graph once in stream order. Requires a previous update().
  void launch(StreamView stream) const;

 private:
  void reset() noexcept;

  ExecutableGraphHandle executable_ = nullptr;
};

}  // namespace ddpm
