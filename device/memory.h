// Device memory and pinned host memory: owners, views and copies. Implemented twice, like streams; in the
// emulator device memory is host memory, filled with 0xFF when allocated.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>
#include <utility>

#include "device/stream.h"

namespace ddpm {

namespace detail {
// 256-byte aligned, as cudaMalloc guarantees; null for 0 bytes.
void* allocate_device(size_t bytes);
void free_device(void* pointer) noexcept;
void* allocate_pinned(size_t bytes);
void free_pinned(void* pointer) noexcept;
// The addresses determine the direction.
void copy_async(void* to, const void* from, size_t bytes, StreamView stream);
void fill_async(void* to, int byte, size_t bytes, StreamView stream);
void check_span(bool holds);
}  // namespace detail

// A non-owning view of device memory: a pointer that the host cannot dereference by mistake.
template <typename T>
class DeviceSpan {
 public:
  DeviceSpan(T* data, size_t size) : data_(data), size_(size) {}
  template <typename U>
  requires std::same_as<const U, T>
  // NOLINTNEXTLINE(google-explicit-constructor): a span of U is a span of const U
  DeviceSpan(DeviceSpan<U> other) : data_(other.data()), size_(other.size()) {}

  T* data() const { return data_; }
  size_t size() const { return size_; }
  size_t bytes() const { return size_ * sizeof(T); }
  DeviceSpan subspan(size_t offset, size_t count) const {
    detail::check_span(offset <= size_ && count <= size_ - offset);
    return {data_ + offset, count};
  }

 private:
  T* data_;
  size_t size_;
};

// Owns uninitialized device memory. Allocation is slow and synchronizes, so the engine allocates at startup
// and never in the hot loop.
template <typename T>
class DeviceBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  explicit DeviceBuffer(size_t size)
      : data_(static_cast<T*>(detail::allocate_device(size * sizeof(T)))), size_(size) {}
  ~DeviceBuffer() { detail::free_device(data_); }
  DeviceBuffer(DeviceBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;

  T* data() const { return data_; }
  size_t size() const { return size_; }
  DeviceSpan<T> span() const { return {data_, size_}; }

 private:
  T* data_;
  size_t size_;
};

// Owns pinned host memory, which copies to and from the device use asynchronously and without staging.
template <typename T>
class PinnedBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  explicit PinnedBuffer(size_t size)
      : data_(static_cast<T*>(detail::allocate_pinned(size * sizeof(T)))), size_(size) {}
  ~PinnedBuffer() { detail::free_pinned(data_); }
  PinnedBuffer(PinnedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  PinnedBuffer& operator=(PinnedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  PinnedBuffer(const PinnedBuffer&) = delete;
  PinnedBuffer& operator=(const PinnedBuffer&) = delete;

  std::span<T> span() const { return {data_, size_}; }
  T* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  T* data_;
  size_t size_;
};

// Copies in stream order; sizes must match. With pageable host memory the call returns when the host side may
// be reused; pinned memory must stay untouched until the stream has passed the copy.
template <typename T>
void copy_to_device(std::type_identity_t<std::span<const T>> from, DeviceSpan<T> to, StreamView stream) {
  detail::check_span(from.size() == to.size());
  detail::copy_async(to.data(), from.data(), from.size_bytes(), stream);
}

template <typename T>
void copy_to_host(DeviceSpan<const T> from, std::type_identity_t<std::span<T>> to, StreamView stream) {
  detail::check_span(from.size() == to.size());
  detail::copy_async(to.data(), from.data(), from.bytes(), stream);
}

template <typename T>
void copy_on_device(std::type_identity_t<DeviceSpan<const T>> from, DeviceSpan<T> to, StreamView stream) {
  detail::check_span(from.size() == to.size());
  detail::copy_async(to.data(), from.data(), from.bytes(), stream);
}

template <typename T>
void fill_bytes(DeviceSpan<T> to, int byte, StreamView stream) {
  detail::fill_async(to.data(), byte, to.bytes(), stream);
}

}  // namespace ddpm
