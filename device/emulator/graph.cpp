// Graphs of the emulator; the CUDA counterpart is device/cuda/graph.cpp. A graph is a list of work to repeat.
#include "device/graph.h"

#include <memory>
#include <utility>

#include "device/emulator/stream_state.h"
#include "support/error.h"

namespace ddpm {
namespace {

using emulator::RecordedWork;
using emulator::state_of;

RecordedWork* work_of(GraphHandle handle) { return reinterpret_cast<RecordedWork*>(handle); }
RecordedWork* work_of(ExecutableGraphHandle handle) { return reinterpret_cast<RecordedWork*>(handle); }

}  // namespace

Graph::~Graph() { delete work_of(graph_); }

GraphNodes Graph::nodes() const {
  GraphNodes count;
  if (graph_ == nullptr) return count;
  for (const emulator::RecordedStep& step : *work_of(graph_)) {
    switch (step.kind) {
      case emulator::WorkKind::kKernel:
        ++count.kernels;
        break;
      case emulator::WorkKind::kMemset:
        ++count.memsets;
        break;
      case emulator::WorkKind::kCopy:
        ++count.copies;
        break;
      case emulator::WorkKind::kEvent:
        ++count.events;
        break;
      case emulator::WorkKind::kOther:
        ++count.others;
        break;
    }
  }
  return count;
}

GraphCapture::GraphCapture(StreamView stream) : stream_(stream) {
  if (state_of(stream).capture != nullptr)
    throw emulator::EmulatorError("a capture was started on a stream that is already being captured");
  state_of(stream).capture = std::make_unique<RecordedWork>();
}

GraphCapture::~GraphCapture() {
  if (capturing_) state_of(stream_).capture.reset();
}

Graph GraphCapture::finish() && {
  DDPM_CHECK(capturing_);
  capturing_ = false;
  return Graph(reinterpret_cast<GraphHandle>(state_of(stream_).capture.release()));
}

ExecutableGraph::~ExecutableGraph() { reset(); }

void ExecutableGraph::reset() noexcept { delete work_of(std::exchange(executable_, nullptr)); }

void ExecutableGraph::update(const Graph& graph) {
  reset();
  executable_ = reinterpret_cast<ExecutableGraphHandle>(new RecordedWork(*work_of(graph.get())));
}

// Threads run in the order of the stream that was captured.
void ExecutableGraph::launch(StreamView stream) const {
  DDPM_CHECK(executable_ != nullptr);
  const auto run = [work = work_of(executable_)] {
    for (const emulator::RecordedStep& step : *work) step.run();
  };
  emulator::submit(stream, run, emulator::WorkKind::kOther);
}

}  // namespace ddpm
