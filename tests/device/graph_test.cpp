// Graphs, on the CUDA runtime and in the emulator.
#include "device/graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <utility>
#include <vector>

#include "kernels/cuda/kernels.h"
#include "tests/device/device_memory.h"
#include "tests/device/emulator/probes/kernels.h"

namespace ddpm {
namespace {

TEST(Graph, RunsCapturedWork) {
  const Stream stream;
  const DeviceBuffer<int> from = to_device(std::vector<int>{1, 2, 3}, stream);
  const DeviceBuffer<int> to = to_device(std::vector<int>{0, 0, 0}, stream);
  stream.synchronize();

  ExecutableGraph executable;
  GraphCapture capture(stream);
  copy_on_device(from.span(), to.span(), stream);
  executable.update(std::move(capture).finish());
  EXPECT_EQ(to_host(to, stream), (std::vector<int>{0, 0, 0})) << "captured, but not run";
  executable.launch(stream);
  EXPECT_EQ(to_host(to, stream), (std::vector<int>{1, 2, 3}));

  // A graph of another topology: the update falls back to a new instance.
  GraphCapture second(stream);
  fill_bytes(to.span(), 0, stream);
  copy_on_device(from.span().subspan(0, 1), to.span().subspan(2, 1), stream);
  executable.update(std::move(second).finish());
  executable.launch(stream);
  EXPECT_EQ(to_host(to, stream), (std::vector<int>{0, 0, 1}));
}

TEST(Graph, FailedCaptureLeavesStreamUsable) {
  const Stream stream;
  const DeviceBuffer<int> buffer = to_device(std::vector<int>{1}, stream);
  stream.synchronize();
  try {
    const GraphCapture capture(stream);
    fill_bytes(buffer.span(), 0, stream);
    throw std::runtime_error("while recording");
  } catch (const std::runtime_error&) {
  }
  EXPECT_EQ(to_host(buffer, stream), (std::vector<int>{1})) << "recorded work is discarded";
}

TEST(Graph, EachRunRereadsDeviceMemory) {
  const Stream stream;
  const DeviceBuffer<int64_t> counter = to_device(std::vector<int64_t>{5}, stream);
  stream.synchronize();
  ExecutableGraph executable;
  GraphCapture capture(stream);
  cuda::advance_counter(counter.data(), stream);
  cuda::advance_counter(counter.data(), stream);
  executable.update(std::move(capture).finish());
  EXPECT_EQ(to_host(counter, stream), (std::vector<int64_t>{5}));
  for (int run = 0; run < 3; ++run) executable.launch(stream);
  EXPECT_EQ(to_host(counter, stream), (std::vector<int64_t>{11}));
}

// The shared memory limit belongs to the function: if it were set to what each launch requests, the last and
// smallest launch of a capture would leave it too low for the first.
TEST(Graph, HoldsLargeThenSmallLaunchOfOneKernel) {
  // 96 KB: beyond the 48 KB that need no opt-in, and available on every GPU of compute capability
  // 8.0 or higher.
  constexpr int kLarge = 24 * 1024, kSmall = 16;
  const Stream stream;
  std::vector<float> x(kLarge);
  std::iota(x.begin(), x.end(), 1.0f);
  const DeviceBuffer<float> from = to_device(x, stream);
  const DeviceBuffer<float> large(kLarge), small(kSmall);
  const auto launch_both = [&] {
    probe::reverse(from.data(), large.data(), kLarge, stream);
    probe::reverse(from.data(), small.data(), kSmall, stream);
  };
  launch_both();  // loads the kernel, as executors do
  GraphCapture capture(stream);
  launch_both();
  ExecutableGraph executable;
  executable.update(std::move(capture).finish());

  const std::vector<float> large_expected(x.rbegin(), x.rend());
  const std::vector<float> small_expected(x.rend() - kSmall, x.rend());
  for (int replay = 0; replay < 2; ++replay) {
    fill_bytes(large.span(), 0, stream);
    fill_bytes(small.span(), 0, stream);
    executable.launch(stream);
    EXPECT_EQ(to_host(large, stream), large_expected);
    EXPECT_EQ(to_host(small, stream), small_expected);
  }
}

TEST(Graph, CountsItsNodes) {
  const Stream stream;
  const DeviceBuffer<int64_t> counters = to_device(std::vector<int64_t>{1, 2, 3}, stream);
  stream.synchronize();
  Event event;
  GraphCapture capture(stream);
  fill_bytes(counters.span(), 0, stream);
  for (int i = 0; i < 3; ++i) cuda::advance_counter(counters.data() + i, stream);
  copy_on_device(counters.span().subspan(0, 1), counters.span().subspan(1, 1), stream);
  copy_on_device(counters.span().subspan(0, 1), counters.span().subspan(2, 1), stream);
  event.record_in_graph(stream);
  const Graph graph = std::move(capture).finish();
  EXPECT_EQ(graph.nodes(), (GraphNodes{.kernels = 3, .memsets = 1, .copies = 2, .events = 1}));
  EXPECT_EQ(graph.nodes().total(), 7);
}

// Two events, recorded anew in each run, give the time of the work between them in the latest run.
TEST(Graph, RecordsEventsInEachRun) {
  constexpr int kCount = 24 * 1024;
  const Stream stream;
  const DeviceBuffer<float> from = to_device(std::vector<float>(kCount, 1.0f), stream);
  const DeviceBuffer<float> to(kCount);
  Event before_first, begin, middle, end;
  GraphCapture capture(stream);
  begin.record_in_graph(stream);
  for (int i = 0; i < 3; ++i) probe::reverse(from.data(), to.data(), kCount, stream);
  middle.record_in_graph(stream);
  probe::reverse(from.data(), to.data(), kCount, stream);
  end.record_in_graph(stream);
  ExecutableGraph executable;
  executable.update(std::move(capture).finish());

  before_first.record(stream);
  for (int replay = 0; replay < 2; ++replay) {
    executable.launch(stream);
    end.synchronize();
    EXPECT_GT(middle.milliseconds_since(begin), 0);
    EXPECT_GT(end.milliseconds_since(middle), 0);
    EXPECT_GE(begin.milliseconds_since(before_first), 0);
    // Both records are from the same replay; one left over from an earlier replay would precede
    // this one's begin.
    EXPECT_NEAR(end.milliseconds_since(begin),
                middle.milliseconds_since(begin) + end.milliseconds_since(middle),
                1e-3 + 1e-3 * end.milliseconds_since(begin));
    before_first.record(stream);
  }
}

TEST(Graph, EventIsANodeOnlyDuringCapture) {
  const Stream stream;
  Event event;
  EXPECT_THROW(event.record_in_graph(stream), Error);
}

TEST(Graph, SynchronizeDuringCaptureThrows) {
  const Stream stream;
  const GraphCapture capture(stream);
  EXPECT_THROW(stream.synchronize(), Error);
}

}  // namespace
}  // namespace ddpm
