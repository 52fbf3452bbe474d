#include "runtime/cpu/cpu_executor.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/cpu/cpu.h"
#include "kernels/reference/reference.h"
#include "runtime/cpu/onednn_ops.h"
#include "support/error.h"
#include "support/parallel.h"

namespace ddpm {
namespace {

// Memory for vector loads, zero from the start, so that padding between parameters stays zero for good.
class AlignedBytes {
 public:
  explicit AlignedBytes(int64_t count)
      : bytes_(static_cast<std::byte*>(
            ::operator new(static_cast<size_t>(std::max<int64_t>(count, 1)), kAlignment))) {
    std::fill_n(bytes_, count, std::byte{0});
  }
  ~AlignedBytes() { ::operator delete(bytes_, kAlignment); }
  AlignedBytes(const AlignedBytes&) = delete;
  AlignedBytes& operator=(const AlignedBytes&) = delete;

  std::byte* data() const { return bytes_; }

 private:
  static constexpr std::align_val_t kAlignment{256};
  std::byte* bytes_;
};

template <typename From, typename To>
void convert(std::span<From> source, std::span<To> target) {
  DDPM_CHECK(source.size() == target.size());
  parallel_for_chunks(static_cast<int64_t>(source.size()), [&](int64_t, int64_t begin, int64_t end) {
    std::transform(source.begin() + begin, source.begin() + end, target.begin() + begin,
                   [](From value) { return static_cast<To>(value); });
  });
}

// A buffer's bytes, others in each step.
struct StreamedBytes {
  int64_t next;
  StepBytes fill;
  std::vector<uint8_t> bytes;
};

}  // namespace

template <typename T>
struct CpuExecutor<T>::Implementation {
  Implementation(Program given, CpuProducts requested)
      : program(std::move(given)),
        plan(plan_memory(program, {.real = sizeof(T), .master = sizeof(T)})),
        fast(std::is_same_v<T, float> && requested == CpuProducts::kFast),
        arena(plan.arena_bytes),
        parameters(program.parameter_elements() * int64_t{sizeof(T)}),
        gradients(program.gradient_elements() * int64_t{sizeof(T)}) {
    for (size_t i = 0; i < program.buffers().size(); ++i)
      addresses.push_back(place(program.buffers()[i], plan.placements[i]));
  }

  std::byte* place(const Buffer& buffer, const Placement& placement) {
    switch (buffer.role) {
      case Role::kParameter:
        return parameters.data() + buffer.arena_offset * int64_t{sizeof(T)};
      case Role::kParameterGradient:
        return gradients.data() + buffer.arena_offset * int64_t{sizeof(T)};
      case Role::kActivation:
        return placement.offset < 0 ? nullptr : arena.data() + placement.offset;
      case Role::kInput:
        if (buffer.element == Element::kByte) return nullptr;  // bind_bytes gives it an address
        [[fallthrough]];
      case Role::kState:
        return persistent.emplace_back(std::make_unique<AlignedBytes>(placement.bytes))->data();
    }
    return nullptr;
  }

  std::byte* address(BufferId id) const {
    if (id == kNoBuffer) return nullptr;
    std::byte* found = addresses.at(static_cast<size_t>(id));
    DDPM_CHECK(found != nullptr);
    return found;
  }
  // `id` may be kNoBuffer.
  bool holds(BufferId id, Element element) const {
    return id == kNoBuffer || program.buffer(id).element == element;
  }
  T* real(BufferId id) const {
    DDPM_CHECK(holds(id, Element::kReal) || holds(id, Element::kMaster));
    return reinterpret_cast<T*>(address(id));
  }
  int64_t* index(BufferId id) const {
    DDPM_CHECK(holds(id, Element::kIndex));
    return reinterpret_cast<int64_t*>(address(id));
  }
  const uint8_t* byte(BufferId id) const {
    DDPM_CHECK(holds(id, Element::kByte));
    return reinterpret_cast<const uint8_t*>(address(id));
  }
  T* column(BufferId matrix, int first) const { return matrix == kNoBuffer ? nullptr : real(matrix) + first; }

  void run(const Conv2d& op) {
    const Conv2dArgs<T> args{real(op.x), real(op.weight), real(op.bias), real(op.residual), real(op.y)};
    if constexpr (std::is_same_v<T, float>)
      if (fast) return onednn.conv2d(op.shape, args);
    reference::conv2d<T>(op.shape, args);
  }
  void run(const Conv2dBackwardData& op) {
    const Conv2dBackwardDataArgs<T> args{real(op.dy), real(op.weight), real(op.residual), real(op.dx)};
    if constexpr (std::is_same_v<T, float>)
      if (fast) return onednn.conv2d_backward_data(op.shape, args);
    reference::conv2d_backward_data<T>(op.shape, args);
  }
  void run(const Conv2dBackwardWeight& op) {
    const Conv2dBackwardWeightArgs<T> args{real(op.x), real(op.dy), real(op.dweight), real(op.dbias),
                                           real(op.also_dbias)};
    if constexpr (std::is_same_v<T, float>)
      if (fast) return onednn.conv2d_backward_weight(op.shape, args);
    reference::conv2d_backward_weight<T>(op.shape, args);
  }
  void run(const UpsampleConv2d& op) {
    const Conv2dArgs<T> args{real(op.x), real(op.weight), real(op.bias), nullptr, real(op.y)};
    if constexpr (std::is_same_v<T, float>)
      if (fast) return onednn.upsample_conv2d(op.shape, args);
    reference::upsample_conv2d<T>(op.shape, args);
  }
  void run(const UpsampleConv2dBackwardData& op) {
    const Conv2dBackwardDataArgs<T> args{real(op.dy), real(op.weight), real(op.residual), real(op.dx)};
    if constexpr (std::is_same_v<T, float>)
      if (fast) return onednn.upsample_conv2d_backward_data(op.shape, args);
    reference::upsample_conv2d_backward_data<T>(op.shape, args);
  }
  void run(const UpsampleConv2dBackwardWeight& op) {
    const Conv2dBackwardWeightArgs<T> args{real(op.x), real(op.dy), real(op.dweight), real(op.dbias)};
    if constexpr (std::is_same_v<T, float>)
      if (fast) return onednn.upsample_conv2d_backward_weight(op.shape, args);
    reference::upsample_conv2d_backward_weight<T>(op.shape, args);
  }

  void run(const GroupNorm& op) {
    const GroupNormArgs<T> args{.x0 = real(op.x0),
                                .x1 = real(op.x1),
                                .shift = column(op.shift, op.shift_column),
                                .bias = real(op.bias),
                                .gamma = real(op.gamma),
                                .beta = real(op.beta),
                                .film = column(op.film, op.film_column),
                                .y = real(op.y),
                                .mean = real(op.mean),
                                .rstd = real(op.rstd),
                                .dropout = {op.seed, index(op.step)}};
    if constexpr (std::is_same_v<T, float>)
      if (fast) return cpu::group_norm(op.shape, args);
    reference::group_norm<T>(op.shape, args);
  }
  void run(const GroupNormBackward& op) {
    const GroupNorm& forward = op.forward;
    const GroupNormBackwardArgs<T> args{.dy = real(op.dy),
                                        .x0 = real(forward.x0),
                                        .x1 = real(forward.x1),
                                        .shift = column(forward.shift, forward.shift_column),
                                        .bias = real(forward.bias),
                                        .gamma = real(forward.gamma),
                                        .beta = real(forward.beta),
                                        .film = column(forward.film, forward.film_column),
                                        .mean = real(forward.mean),
                                        .rstd = real(forward.rstd),
                                        .dx0_addends = {real(op.dx0_addends[0]), real(op.dx0_addends[1])},
                                        .dx1_addends = {real(op.dx1_addends[0]), real(op.dx1_addends[1])},
                                        .dx0 = real(op.dx0),
                                        .dx1 = real(op.dx1),
                                        .dshift = column(op.dshift, forward.shift_column),
                                        .dbias = real(op.dbias),
                                        .dgamma = real(op.dgamma),
                                        .dbeta = real(op.dbeta),
                                        .dfilm = column(op.dfilm, forward.film_column),
                                        .dropout = {forward.seed, index(forward.step)}};
    if constexpr (std::is_same_v<T, float>)
      if (fast) return cpu::group_norm_backward(forward.shape, args);
    reference::group_norm_backward<T>(forward.shape, args);
  }

  void run(const Attention& op) {
    const AttentionArgs<T> args{real(op.qkv), real(op.probabilities), real(op.y)};
    if constexpr (std::is_same_v<T, float>)
      if (fast) return onednn.attention(op.shape, args);
    reference::attention<T>(op.shape, args);
  }
  void run(const AttentionBackward& op) {
    const AttentionBackwardArgs<T> args{real(op.dy), real(op.qkv), real(op.probabilities), real(op.dscores),
                                        real(op.dqkv)};
    if constexpr (std::is_same_v<T, float>)
      if (fast) return onednn.attention_backward(op.shape, args);
    reference::attention_backward<T>(op.shape, args);
  }

  void run(const Linear& op) {
    const LinearArgs<T> args{real(op.x), real(op.weight), real(op.bias), real(op.residual), real(op.y)};
    if constexpr (std::is_same_v<T, float>)
      if (fast) return cpu::linear(op.shape, args);
    reference::linear<T>(op.shape, args);
  }
  void run(const LinearBackward& op) {
    const LinearBackwardArgs<T> args{real(op.dy), real(op.x),       real(op.weight),
                                     real(op.dx), real(op.dweight), real(op.dbias)};
    if constexpr (std::is_same_v<T, float>)
      if (fast) return cpu::linear_backward(op.shape, args);
    reference::linear_backward<T>(op.shape, args);
  }
  void run(const TimeEmbedding& op) {
    reference::time_embedding<T>(op.shape, {real(op.t), real(op.frequencies), real(op.y)});
  }
  void run(const Add& op) { reference::add<T>(op.count, real(op.a), real(op.b), real(op.y)); }
  void run(const UpsampleNearest& op) {
    reference::upsample_nearest<T>(op.shape, {real(op.x), real(op.residual), real(op.y)});
  }
  void run(const SumPool& op) {
    reference::sum_pool<T>(op.shape, {real(op.x), real(op.residual), real(op.y)});
  }
  void run(const Rescale& op) { reference::rescale<T>(op.shape, {real(op.x), real(op.divisor), real(op.y)}); }
  void run(const OneHot& op) { reference::one_hot<T>(op.shape, {real(op.index), real(op.y)}); }

  void run(const Diffuse& op) {
    reference::diffuse<T>(op.shape, {.dataset = byte(op.dataset),
                                     .signal = real(op.signal),
                                     .noise = real(op.noise),
                                     .step = index(op.step),
                                     .x_t = real(op.x_t),
                                     .t = real(op.t),
                                     .index = nullptr});
  }
  void run(const GatherLabels& op) {
    reference::gather_labels<T>(op.shape, {real(op.labels), index(op.step), real(op.y)});
  }
  void run(const Loss& op) {
    reference::loss<T>(op.shape, {.prediction = real(op.prediction),
                                  .dataset = byte(op.dataset),
                                  .signal = real(op.signal),
                                  .noise = real(op.noise),
                                  .weight = real(op.weight),
                                  .t = real(op.t),
                                  .step = index(op.step),
                                  .dprediction = real(op.dprediction),
                                  .image_loss = real(op.image_loss)});
  }

  void run(const ZeroGradients&) { std::fill_n(gradient_arena(), program.gradient_elements(), T{0}); }
  void run(const AdamEma& op) {
    const AdamEmaArgs<T> args{.step = index(op.step),
                              .gradients = gradient_arena(),
                              .parameters = parameter_arena(),
                              .m = real(op.m),
                              .v = real(op.v),
                              .ema = real(op.ema),
                              .gradient_norm = real(op.gradient_norm),
                              .learning_rate = real(op.learning_rate)};
    if constexpr (std::is_same_v<T, float>)
      if (fast) return cpu::adam_ema(op.shape, args);
    reference::adam_ema<T>(op.shape, args);
  }
  void run(const AdvanceCounter& op) { ++*index(op.counter); }

  const SamplerRow<T>* sampler_rows(BufferId table) {
    return reinterpret_cast<const SamplerRow<T>*>(real(table));
  }
  void run(const SamplerStart& op) {
    reference::sampler_start<T>(op.shape, {.table = sampler_rows(op.table),
                                           .first_image = index(op.first_image),
                                           .x = real(op.x),
                                           .network_input = real(op.network_input),
                                           .t = real(op.t)});
  }
  void run(const Guidance& op) { reference::guidance<T>(op.shape, {real(op.answers), real(op.y)}); }
  void run(const DynamicThreshold& op) {
    reference::dynamic_threshold<T>(op.shape, {.output = real(op.output),
                                               .table = sampler_rows(op.table),
                                               .index = index(op.index),
                                               .x = real(op.x),
                                               .threshold = real(op.threshold)});
  }
  void run(const SamplerStep& op) {
    reference::sampler_step<T>(op.shape, {.output = real(op.output),
                                          .table = sampler_rows(op.table),
                                          .index = index(op.index),
                                          .first_image = index(op.first_image),
                                          .x = real(op.x),
                                          .memory = real(op.memory),
                                          .threshold = real(op.threshold),
                                          .network_input = real(op.network_input),
                                          .t = real(op.t)});
  }

  T* parameter_arena() { return reinterpret_cast<T*>(parameters.data()); }
  T* gradient_arena() { return reinterpret_cast<T*>(gradients.data()); }

  void run_operation(size_t position) {
    const auto begin = std::chrono::steady_clock::now();
    std::visit([this](const auto& op) { this->run(op); }, program.operations()[position].operation);
    if (times.empty()) return;
    times[position].seconds +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    ++times[position].runs;
  }

  Program program;
  MemoryPlan plan;
  bool fast;
  OneDnnOps onednn;
  AlignedBytes arena, parameters, gradients;
  std::vector<std::unique_ptr<AlignedBytes>> persistent;
  std::vector<std::byte*> addresses;              // by BufferId
  std::vector<OperationTime> times;               // by operation
  std::optional<std::vector<BufferId>> recorded;  // none: no records are kept
  std::optional<StreamedBytes> streamed;
  std::vector<std::vector<float>> records;
};

template <typename T>
CpuExecutor<T>::CpuExecutor(Program program, CpuProducts products)
    : implementation_(std::make_unique<Implementation>(std::move(program), products)) {}
template <typename T>
CpuExecutor<T>::~CpuExecutor() = default;

template <typename T>
const Program& CpuExecutor<T>::program() const {
  return implementation_->program;
}
template <typename T>
const MemoryPlan& CpuExecutor<T>::memory_plan() const {
  return implementation_->plan;
}

template <typename T>
void CpuExecutor<T>::run(std::span<const Phase> phases) {
  if (auto& streamed = implementation_->streamed) streamed->fill(streamed->next++, streamed->bytes);
  for (const Phase phase : phases)
    for (size_t position = 0; position < program().operations().size(); ++position)
      if (program().operations()[position].phase == phase) implementation_->run_operation(position);
  if (!implementation_->recorded) return;
  std::vector<float>& record = implementation_->records.emplace_back();
  for (const BufferId buffer : *implementation_->recorded) {
    const std::span<const T> source = values(buffer);
    std::transform(source.begin(), source.end(), std::back_inserter(record),
                   [](T value) { return static_cast<float>(value); });
  }
}
template <typename T>
void CpuExecutor<T>::run_operation(size_t index) {
  DDPM_CHECK(index < program().operations().size());
  implementation_->run_operation(index);
}

template <typename T>
void CpuExecutor<T>::keep_records(std::vector<BufferId> buffers) {
  for (const BufferId buffer : buffers) DDPM_CHECK(program().buffer(buffer).role != Role::kActivation);
  implementation_->recorded = std::move(buffers);
  implementation_->records.clear();
}
template <typename T>
std::vector<std::vector<float>> CpuExecutor<T>::take_records(size_t) {
  return std::exchange(implementation_->records, {});
}

template <typename T>
std::span<T> CpuExecutor<T>::values(BufferId buffer) {
  return {implementation_->real(buffer), static_cast<size_t>(element_count(program().shape(buffer)))};
}
template <typename T>
std::span<const T> CpuExecutor<T>::values(BufferId buffer) const {
  return {implementation_->real(buffer), static_cast<size_t>(element_count(program().shape(buffer)))};
}

template <typename T>
std::span<T> CpuExecutor<T>::parameters() {
  return {implementation_->parameter_arena(), static_cast<size_t>(program().parameter_elements())};
}
template <typename T>
std::span<const T> CpuExecutor<T>::parameters() const {
  return {implementation_->parameter_arena(), static_cast<size_t>(program().parameter_elements())};
}
template <typename T>
std::span<T> CpuExecutor<T>::gradients() {
  return {implementation_->gradient_arena(), static_cast<size_t>(program().gradient_elements())};
}

template <typename T>
void CpuExecutor<T>::write(BufferId buffer, std::span<const float> source) {
  convert(source, values(buffer));
}
template <typename T>
void CpuExecutor<T>::read(BufferId buffer, std::span<float> target) const {
  convert(values(buffer), target);
}
template <typename T>
void CpuExecutor<T>::write_parameters(std::span<const float> source) {
  convert(source, parameters());
}
template <typename T>
void CpuExecutor<T>::read_parameters(std::span<float> target) const {
  convert(parameters(), target);
}
template <typename T>
void CpuExecutor<T>::write_index(BufferId buffer, int64_t value) {
  *implementation_->index(buffer) = value;
}
template <typename T>
int64_t CpuExecutor<T>::read_index(BufferId buffer) const {
  return *implementation_->index(buffer);
}

template <typename T>
void CpuExecutor<T>::bind_bytes(BufferId buffer, std::span<const uint8_t> bytes) {
  DDPM_CHECK(implementation_->holds(buffer, Element::kByte));
  DDPM_CHECK(static_cast<int64_t>(bytes.size()) == element_count(program().shape(buffer)));
  implementation_->streamed.reset();
  // The program only reads a kInput buffer; its address is kept beside those of buffers it writes.
  implementation_->addresses[static_cast<size_t>(buffer)] =
      reinterpret_cast<std::byte*>(const_cast<uint8_t*>(bytes.data()));
}

template <typename T>
void CpuExecutor<T>::stream_bytes(BufferId buffer, int64_t first, StepBytes fill) {
  StreamedBytes streamed{
      .next = first,
      .fill = std::move(fill),
      .bytes = std::vector<uint8_t>(static_cast<size_t>(element_count(program().shape(buffer))))};
  bind_bytes(buffer, streamed.bytes);
  implementation_->streamed = std::move(streamed);  // its bytes stay where they are
}

template <typename T>
void CpuExecutor<T>::measure_operations(MeasuredForm) {
  implementation_->times.assign(program().operations().size(), {});
}
template <typename T>
std::vector<OperationTime> CpuExecutor<T>::operation_times() const {
  return implementation_->times;
}

std::unique_ptr<Executor> make_cpu_executor(Program program) {
  return std::make_unique<CpuExecutor<float>>(std::move(program));
}

template class CpuExecutor<float>;
template class CpuExecutor<double>;

}  // namespace ddpm
