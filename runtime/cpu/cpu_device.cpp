#include <algorithm>
#include <chrono>
#include <cstring>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/cpu/cpu_executor.h"
#include "runtime/cpu/fast_ops.h"
#include "support/error.h"

namespace ddpm {
namespace {

class AlignedBytes {
 public:
  explicit AlignedBytes(int64_t count)
      : bytes_(static_cast<std::byte*>(
            ::operator new(static_cast<size_t>(std::max<int64_t>(count, 1)), kAlignment))) {}
  ~AlignedBytes() { ::operator delete(bytes_, kAlignment); }
  AlignedBytes(const AlignedBytes&) = delete;
  AlignedBytes& operator=(const AlignedBytes&) = delete;

  std::byte* data() const { return bytes_; }

 private:
  static constexpr std::align_val_t kAlignment{256};
  std::byte* bytes_;
};

// A byte buffer that is refilled for each step.
struct StreamedBytes {
  int64_t next;
  StepBytes fill;
  std::vector<uint8_t> bytes;
};

template <typename T>
class CpuDevice final : public ExecutorDevice {
 public:
  explicit CpuDevice(CpuKernels kernels) {
    if constexpr (std::is_same_v<T, float>)
      if (kernels == CpuKernels::kFast) fast_.emplace();
  }

  ElementType compute_type() const override { return kElementType<T>; }
  ElementType master_type() const override { return kElementType<T>; }

  // Always zeros, so that even a faulty operation reads the same bits in every run.
  void* allocate(int64_t bytes, Contents) override {
    std::byte* allocated = allocated_.emplace_back(std::make_unique<AlignedBytes>(bytes))->data();
    std::fill_n(allocated, bytes, std::byte{0});
    return allocated;
  }
  void copy_in(void* to, const void* from, size_t bytes) override { std::memcpy(to, from, bytes); }
  void copy_out(void* to, const void* from, size_t bytes) const override { std::memcpy(to, from, bytes); }

  void prepare(const Program& program, const ProgramMemory& memory) override {
    program_ = &program;
    view_.emplace(memory);
  }

  void run(std::span<const Phase> phases) override {
    if (streamed_) streamed_->fill(streamed_->next++, streamed_->bytes);
    for (const Phase phase : phases)
      for (size_t index = 0; index < program_->operations().size(); ++index)
        if (program_->operations()[index].phase == phase) run_operation(index);
    if (recorded_) record();
  }

  void run_operation(size_t index) override {
    const auto begin = std::chrono::steady_clock::now();
    std::visit([this](const auto& op) { this->compute(op); }, program_->operations()[index].operation);
    if (times_.empty()) return;
    times_[index].seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    ++times_[index].runs;
  }

  // The program only reads the bytes, so it uses them in place.
  void* bind_bytes(void*, std::span<const uint8_t> bytes) override {
    streamed_.reset();
    return const_cast<uint8_t*>(bytes.data());
  }
  void* stream_bytes(void*, int64_t count, int64_t first, StepBytes fill) override {
    streamed_ = {
        .next = first, .fill = std::move(fill), .bytes = std::vector<uint8_t>(static_cast<size_t>(count))};
    return streamed_->bytes.data();
  }

  void keep_records(std::vector<Source> sources) override {
    recorded_ = std::move(sources);
    records_.clear();
  }
  std::vector<std::vector<float>> take_records(size_t) override { return std::exchange(records_, {}); }

  void measure_operations(MeasuredForm) override { times_.assign(program_->operations().size(), {}); }
  std::vector<OperationTime> operation_times() const override { return times_; }

 private:
  template <typename Op>
  void compute(const Op& op) {
    const auto args = op.args(*view_);
    if constexpr (std::is_same_v<T, float> && HasFastOp<Op>) {
      if (fast_) return fast_->run(op, args);
    }
    op.template compute<T>(args);
  }

  void record() {
    std::vector<float>& record = records_.emplace_back();
    for (const Source& source : *recorded_) {
      const T* values = static_cast<const T*>(source.address);
      std::transform(values, values + source.count, std::back_inserter(record),
                     [](T value) { return static_cast<float>(value); });
    }
  }

  std::optional<FastOps> fast_;  // empty: use kernels/reference
  std::vector<std::unique_ptr<AlignedBytes>> allocated_;
  const Program* program_ = nullptr;
  std::optional<BufferView<T, T>> view_;
  std::optional<StreamedBytes> streamed_;
  std::optional<std::vector<Source>> recorded_;  // empty: keep no records
  std::vector<std::vector<float>> records_;
  std::vector<OperationTime> times_;  // by operation
};

}  // namespace

template <typename T>
std::unique_ptr<ExecutorDevice> make_cpu_device(CpuKernels kernels) {
  return std::make_unique<CpuDevice<T>>(kernels);
}

template std::unique_ptr<ExecutorDevice> make_cpu_device<float>(CpuKernels);
template std::unique_ptr<ExecutorDevice> make_cpu_device<double>(CpuKernels);

std::unique_ptr<Executor> make_cpu_executor(Program program) {
  return std::make_unique<CpuExecutor<float>>(std::move(program));
}

}  // namespace ddpm
