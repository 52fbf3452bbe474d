#include "runtime/gpu/gpu_device.h"

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "device/cuda_error.h"
#include "device/graph.h"
#include "device/memory.h"
#include "runtime/gpu/graph_clock.h"
#include "runtime/gpu/operation_clock.h"
#include "runtime/gpu/prefetcher.h"
#include "runtime/gpu/profile_range.h"
#include "runtime/gpu/readback.h"
#include "runtime/library/lowering.h"
#include "runtime/library/upsample_choice.h"
#include "runtime/program_memory.h"
#include "support/error.h"

namespace ddpm {
namespace {

constexpr int kOutOfMemory = 2;  // cudaErrorMemoryAllocation

// A sequence of phases that has run before.
struct Sequence {
  std::vector<Phase> phases;
  std::vector<size_t> operations;  // in order
  int runs = 0;
  ExecutableGraph graph;
  GraphNodes nodes;                 // of the graph
  std::optional<GraphClock> clock;  // only while measuring
};

template <typename T>
class GpuDevice final : public ExecutorDevice {
 public:
  GpuDevice(std::unique_ptr<VendorLibrary> library, UpsampleForm upsample, Stream stream)
      : stream_(std::move(stream)), library_(std::move(library)), forms_(upsample) {}
  // Work may still use memory that is about to be freed. Its errors were reported to whoever waited for it.
  ~GpuDevice() override {
    try {
      stream_.synchronize();
    } catch (const Error&) {  // NOLINT(bugprone-empty-catch)
    }
  }
  GpuDevice(const GpuDevice&) = delete;
  GpuDevice& operator=(const GpuDevice&) = delete;

  ElementType compute_type() const override { return kElementType<T>; }
  ElementType master_type() const override { return ElementType::kFloat; }

  void* allocate(int64_t bytes, Contents contents) override {
    try {
      DeviceBuffer<std::byte>& buffer = allocated_.emplace_back(static_cast<size_t>(bytes));
      allocated_bytes_ += bytes;
      if (contents == Contents::kZeros) fill_bytes(buffer.span(), 0, stream_);
      return buffer.data();
    } catch (const CudaError& error) {
      if (error.code() != kOutOfMemory) throw;
      throw_input("cannot allocate {:.0f} MB of GPU memory in addition to {:.0f} MB: use a smaller batch",
                  static_cast<double>(bytes) / 1e6, static_cast<double>(allocated_bytes_) / 1e6);
    }
  }

  void copy_in(void* to, const void* from, size_t bytes) override {
    copy_to_device<std::byte>({static_cast<const std::byte*>(from), bytes},
                              {static_cast<std::byte*>(to), bytes}, stream_);
    stream_.synchronize();
  }
  void copy_out(void* to, const void* from, size_t bytes) const override {
    copy_to_host<std::byte>({static_cast<const std::byte*>(from), bytes},
                            {static_cast<std::byte*>(to), bytes}, stream_);
    stream_.synchronize();
  }

  void prepare(const Program& program, const ProgramMemory& memory) override {
    program_ = &program;
    forms_ = choose_upsample_forms<T>(program, forms_, *library_, stream_);
    library_->prepare(lower<T>(program, memory.plan(), forms_).problems(), stream_);
    const LaunchList<T> list = lower<T>(program, memory.plan(), forms_, library_.get());
    auto* scratch =
        static_cast<std::byte*>(allocate(static_cast<int64_t>(list.scratch_bytes), Contents::kUndefined));
    const BufferView<T, float> view(memory);
    launches_ = bind(list, program.operations().size(), Addresses<T>(view, scratch), *library_);
    stream_.synchronize();
  }

  void run(std::span<const Phase> phases) override {
    const ProfileRange range("step");
    if (prefetcher_) prefetcher_->copy_next(stream_);
    Sequence& sequence = sequence_of(phases);
    if (eager_clock_ || sequence.runs++ == 0)
      launch(sequence);
    else
      run_graph(sequence);
    if (readback_) readback_->append(stream_);
  }

  void run_operation(size_t index) override { launch(index); }

  // Copies: the device reads its own memory.
  void* bind_bytes(void* current, std::span<const uint8_t> bytes) override {
    void* to = bytes_at(current, std::ssize(bytes));
    copy_in(to, bytes.data(), bytes.size());
    return to;
  }
  void* stream_bytes(void* current, int64_t count, int64_t first, StepBytes fill) override {
    void* to = bytes_at(current, count);
    prefetcher_.emplace(DeviceSpan<uint8_t>(static_cast<uint8_t*>(to), static_cast<size_t>(count)), first,
                        std::move(fill));
    return to;
  }

  void keep_records(std::vector<Source> sources) override {
    std::vector<DeviceSpan<const float>> spans;
    spans.reserve(sources.size());
    for (const Source& source : sources)
      spans.emplace_back(static_cast<const float*>(source.address), source.count);
    stream_.synchronize();  // pending copies may still write to earlier records
    readback_.reset();
    readback_.emplace(std::move(spans));
  }
  std::vector<std::vector<float>> take_records(size_t pending) override {
    return readback_ ? readback_->take(pending) : std::vector<std::vector<float>>();
  }

  void measure_operations(MeasuredForm form) override {
    stream_.synchronize();  // pending graphs may still record events of an earlier measurement
    for (auto& [key, sequence] : sequences_) sequence.clock.reset();
    eager_clock_.reset();
    graph_totals_.reset();
    if (form == MeasuredForm::kEager)
      eager_clock_.emplace(program_->operations().size());
    else
      graph_totals_.emplace(program_->operations().size());
  }
  std::vector<OperationTime> operation_times() const override {
    if (eager_clock_) return eager_clock_->times();
    if (!graph_totals_) return {};
    for (auto& [key, sequence] : sequences_)
      if (sequence.clock) sequence.clock->collect();
    return *graph_totals_;
  }
  std::vector<GraphTime> graph_times() const override {
    std::vector<GraphTime> times;
    for (auto& [key, sequence] : sequences_) {
      if (!sequence.clock) continue;
      sequence.clock->collect();
      GraphTime& time = times.emplace_back(sequence.clock->time());
      time.phases = sequence.phases;
      time.nodes = sequence.nodes;
    }
    return times;
  }

 private:
  // The phases as a number, so that looking up a sequence does not allocate.
  static uint64_t key_of(std::span<const Phase> phases) {
    constexpr size_t kMostPhases = 16;
    DDPM_CHECK(phases.size() <= kMostPhases);
    uint64_t key = 0;
    for (const Phase phase : phases) key = key << 4 | (static_cast<uint64_t>(phase) + 1);
    return key;
  }

  Sequence& sequence_of(std::span<const Phase> phases) {
    const auto [found, is_new] = sequences_.try_emplace(key_of(phases));
    Sequence& sequence = found->second;
    if (!is_new) return sequence;
    sequence.phases.assign(phases.begin(), phases.end());
    for (const Phase phase : phases)
      for (size_t index = 0; index < program_->operations().size(); ++index)
        if (program_->operations()[index].phase == phase) sequence.operations.push_back(index);
    return sequence;
  }

  void launch(size_t index) {
    const ProfileRange range(program_->operations()[index].name.c_str());
    if (eager_clock_) eager_clock_->begin(index, stream_);
    for (const LaunchFunction& launch : launches_[index]) launch(stream_);
    if (eager_clock_) eager_clock_->end(index, stream_);
  }

  void launch(const Sequence& sequence) {
    auto next = sequence.operations.begin();
    for (const Phase phase : sequence.phases) {
      const ProfileRange range(kPhaseNames[static_cast<size_t>(phase)]);
      for (; next != sequence.operations.end() && program_->operations()[*next].phase == phase; ++next)
        launch(*next);
    }
  }

  void run_graph(Sequence& sequence) {
    if (sequence.graph.is_empty()) {
      GraphCapture recording(stream_);
      launch(sequence);
      const Graph captured = std::move(recording).finish();
      sequence.nodes = captured.nodes();
      sequence.graph.update(captured);
    }
    if (!graph_totals_) return sequence.graph.launch(stream_);
    if (!sequence.clock)
      sequence.clock.emplace(
          sequence.operations, [this](size_t index) { launch(index); }, stream_, *graph_totals_);
    sequence.clock->run(sequence.graph, stream_);
  }

  // A byte buffer's memory, allocated once because captured graphs read it. Ends an earlier stream,
  // whose copies may be pending.
  void* bytes_at(void* current, int64_t count) {
    stream_.synchronize();
    prefetcher_.reset();
    return current != nullptr ? current : allocate(count, Contents::kUndefined);
  }

  Stream stream_;
  std::unique_ptr<VendorLibrary> library_;
  UpsampleForms forms_;
  std::vector<DeviceBuffer<std::byte>> allocated_;
  int64_t allocated_bytes_ = 0;
  const Program* program_ = nullptr;
  BoundOperations launches_;
  mutable std::optional<std::vector<OperationTime>> graph_totals_;  // sums of the sequences' clocks
  mutable std::map<uint64_t, Sequence> sequences_;
  std::optional<Prefetcher> prefetcher_;
  std::optional<Readback> readback_;
  mutable std::optional<OperationClock> eager_clock_;  // only with MeasuredForm::kEager
};

}  // namespace

template <typename T>
std::unique_ptr<ExecutorDevice> make_gpu_device(std::unique_ptr<VendorLibrary> library, UpsampleForm upsample,
                                                Stream stream) {
  return std::make_unique<GpuDevice<T>>(std::move(library), upsample, std::move(stream));
}

template std::unique_ptr<ExecutorDevice> make_gpu_device<float>(std::unique_ptr<VendorLibrary>, UpsampleForm,
                                                                Stream);
template std::unique_ptr<ExecutorDevice> make_gpu_device<BFloat16>(std::unique_ptr<VendorLibrary>,
                                                                   UpsampleForm, Stream);

}  // namespace ddpm
