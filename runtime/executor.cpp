#include "runtime/executor.h"

#include <algorithm>
#include <utility>

#include "support/error.h"
#include "support/parallel.h"

namespace ddpm {
namespace {

// Calls function with a value of the type.
template <typename Function>
void with_type(ElementType type, const Function& function) {
  switch (type) {
    case ElementType::kFloat:
      return function(float{});
    case ElementType::kBfloat16:
      return function(BFloat16{});
    case ElementType::kDouble:
      return function(double{});
  }
}

template <typename To, typename From>
To convert_value(From value) {
  if constexpr (std::is_same_v<To, BFloat16>)
    return to_bfloat16(value);
  else if constexpr (std::is_same_v<From, BFloat16>)
    return to_float(value);
  else
    return static_cast<To>(value);
}

template <typename To, typename From>
void convert(int64_t count, const From* from, To* to) {
  parallel_for_chunks(count, [&](int64_t, int64_t begin, int64_t end) {
    std::transform(from + begin, from + end, to + begin, [](From value) { return convert_value<To>(value); });
  });
}

}  // namespace

Executor::Executor(Program program, std::unique_ptr<ExecutorDevice> device)
    : program_(std::move(program)), device_(std::move(device)), memory_(program_, *device_) {
  device_->prepare(program_, memory_);
}

ElementSizes Executor::element_sizes() const {
  return {.compute = element_bytes(device_->compute_type()), .master = element_bytes(device_->master_type())};
}

void Executor::run_operation(size_t index) {
  DDPM_CHECK(index < program_.operations().size());
  device_->run_operation(index);
}

ElementType Executor::type_of(BufferId buffer) const {
  const DType dtype = program_.buffer(buffer).dtype;
  DDPM_CHECK(dtype == DType::kCompute || dtype == DType::kMaster);
  return dtype == DType::kCompute ? device_->compute_type() : device_->master_type();
}

std::span<std::byte> Executor::staging(ElementType type, size_t count) const {
  const size_t bytes = count * static_cast<size_t>(element_bytes(type));
  if (staged_.size() < bytes) staged_.resize(bytes);
  return std::span(staged_).first(bytes);
}

void Executor::store(ElementType type, std::span<const float> values, void* to) {
  if (type == ElementType::kFloat) return device_->copy_in(to, values.data(), values.size_bytes());
  const std::span<std::byte> staged = staging(type, values.size());
  with_type(type, [&]<typename T>(T) {
    convert(std::ssize(values), values.data(), reinterpret_cast<T*>(staged.data()));
  });
  device_->copy_in(to, staged.data(), staged.size());
}

void Executor::load(ElementType type, const void* from, std::span<float> values) const {
  if (type == ElementType::kFloat) return device_->copy_out(values.data(), from, values.size_bytes());
  const std::span<std::byte> staged = staging(type, values.size());
  device_->copy_out(staged.data(), from, staged.size());
  with_type(type, [&]<typename T>(T) {
    convert(std::ssize(values), reinterpret_cast<const T*>(staged.data()), values.data());
  });
}

void Executor::write(BufferId buffer, std::span<const float> values) {
  DDPM_CHECK(std::ssize(values) == element_count(program_.shape(buffer)));
  store(type_of(buffer), values, memory_.address(buffer));
  const Buffer& written = program_.buffer(buffer);
  if (written.role == Role::kParameter) refresh_compute_weights(written.arena_offset, values);
  if (written.role == Role::kParameterArena) refresh_compute_weights(0, values);
}

void Executor::read(BufferId buffer, std::span<float> values) const {
  DDPM_CHECK(std::ssize(values) == element_count(program_.shape(buffer)));
  load(type_of(buffer), memory_.address(buffer), values);
}

std::vector<float> Executor::read(BufferId buffer) const {
  std::vector<float> values(static_cast<size_t>(element_count(program_.shape(buffer))));
  read(buffer, values);
  return values;
}

void Executor::write_parameters(std::span<const float> values) {
  DDPM_CHECK(std::ssize(values) == program_.parameter_elements());
  store(device_->master_type(), values, memory_.parameters());
  refresh_compute_weights(0, values);
}

void Executor::read_parameters(std::span<float> values) const {
  DDPM_CHECK(std::ssize(values) == program_.parameter_elements());
  load(device_->master_type(), memory_.parameters(), values);
}

void Executor::refresh_compute_weights(int64_t first, std::span<const float> values) {
  if (memory_.compute_weights() != nullptr)
    store(ElementType::kBfloat16, values, memory_.compute_weights() + first);
}

void Executor::write_index(BufferId buffer, int64_t value) {
  DDPM_CHECK(program_.buffer(buffer).dtype == DType::kIndex);
  device_->copy_in(memory_.address(buffer), &value, sizeof(value));
}

int64_t Executor::read_index(BufferId buffer) const {
  DDPM_CHECK(program_.buffer(buffer).dtype == DType::kIndex);
  int64_t value = 0;
  device_->copy_out(&value, memory_.address(buffer), sizeof(value));
  return value;
}

void Executor::keep_records(const std::vector<BufferId>& buffers) {
  std::vector<ExecutorDevice::Source> sources;
  for (const BufferId buffer : buffers) {
    DDPM_CHECK(program_.buffer(buffer).role != Role::kActivation &&
               program_.buffer(buffer).dtype == DType::kMaster);
    sources.push_back({memory_.address(buffer), static_cast<size_t>(element_count(program_.shape(buffer)))});
  }
  device_->keep_records(std::move(sources));
}

// A device keeps the stream of one buffer.
void Executor::check_bytes(BufferId buffer) {
  DDPM_CHECK(program_.buffer(buffer).role == Role::kInput && program_.buffer(buffer).dtype == DType::kByte);
  DDPM_CHECK(bytes_ == kNoBuffer || bytes_ == buffer);
  bytes_ = buffer;
}

void Executor::bind_bytes(BufferId buffer, std::span<const uint8_t> bytes) {
  check_bytes(buffer);
  DDPM_CHECK(std::ssize(bytes) == element_count(program_.shape(buffer)));
  memory_.bind(buffer, device_->bind_bytes(memory_.bound(buffer), bytes));
}

void Executor::stream_bytes(BufferId buffer, int64_t first, StepBytes fill) {
  check_bytes(buffer);
  memory_.bind(buffer, device_->stream_bytes(memory_.bound(buffer), element_count(program_.shape(buffer)),
                                             first, std::move(fill)));
}

}  // namespace ddpm
