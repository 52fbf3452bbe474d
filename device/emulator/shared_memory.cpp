#include "device/emulator/shared_memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <system_error>

#include "device/emulator/emulator.h"
#include "device/emulator/sanitizers.h"
#include "device/launch_config.h"
#include "support/error.h"

namespace ddpm::emulator {
namespace {

constexpr size_t kGuardBytes = 256;
constexpr size_t kAlignment = 256;
constexpr std::byte kPoison{0xFF};
constexpr std::byte kGuard{0xA5};
// Static and dynamic shared memory together are at most kMaxSharedBytes.
constexpr size_t kTotalBytes = kMaxSharedBytes + 3 * kGuardBytes + kAlignment;

void fill(std::byte* start, size_t bytes, std::byte value) {
  if constexpr (kThreadSanitizer) {
    // Not memset: ThreadSanitizer would attribute it to the kernel.
    for (size_t i = 0; i < bytes; ++i) *const_cast<volatile std::byte*>(start + i) = value;
  } else {
    std::memset(start, static_cast<int>(value), bytes);
  }
}

void open_region(std::byte* start, size_t bytes) {
  allow_access(start, bytes);
  fill(start, bytes, kPoison);
  if constexpr (!kAddressSanitizer) fill(start + bytes, kGuardBytes, kGuard);
}

void check_guard(const std::byte* start, const char* name, const char* side) {
  for (size_t i = 0; i < kGuardBytes; ++i)
    if (start[i] != kGuard)
      throw EmulatorError(fmt::format("the kernel wrote outside its {} shared memory, {} it", name, side));
}

std::byte* map() {
  void* memory = mmap(nullptr, kTotalBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    throw std::system_error(errno, std::generic_category(), "cannot allocate emulated shared memory");
  return static_cast<std::byte*>(memory);
}

std::byte* align_up(std::byte* address) {
  const auto value = reinterpret_cast<uintptr_t>(address);
  return address + ((value + kAlignment - 1) / kAlignment * kAlignment - value);
}

}  // namespace

SharedMemory::SharedMemory() : memory_(map()), dynamic_(memory_ + kGuardBytes), static_(dynamic_) {}

SharedMemory::~SharedMemory() {
  allow_access(memory_, kTotalBytes);
  munmap(memory_, kTotalBytes);
}

void SharedMemory::begin_block(size_t dynamic_bytes) {
  if constexpr (kThreadSanitizer) {
    // Blocks are unordered, but each has new shared memory; unmapping tells ThreadSanitizer so.
    munmap(memory_, kTotalBytes);
    memory_ = map();
  }
  forbid_access(memory_, kTotalBytes);
  dynamic_ = memory_ + kGuardBytes;
  dynamic_bytes_ = dynamic_bytes;
  static_ = align_up(dynamic_ + dynamic_bytes + kGuardBytes);
  static_bytes_ = 0;
  static_type_ = nullptr;
  if constexpr (!kAddressSanitizer) fill(memory_, kGuardBytes, kGuard);
  open_region(dynamic_, dynamic_bytes);
}

void* SharedMemory::dynamic_region(size_t offset, size_t bytes, size_t alignment) const {
  if (offset > dynamic_bytes_ || bytes > dynamic_bytes_ - offset)
    throw EmulatorError(
        fmt::format("the kernel uses bytes {} to {} of dynamic shared memory, but the launch provides {}",
                    offset, offset + bytes, dynamic_bytes_));
  // CUDA guarantees 16-byte alignment of dynamic shared memory, whatever the emulator's address is.
  if (alignment > 16 || offset % alignment != 0)
    throw EmulatorError(fmt::format(
        "an array in dynamic shared memory starts at byte {}, but its elements need an alignment of {}",
        offset, alignment));
  return dynamic_ + offset;
}

void* SharedMemory::static_region(const void* type, size_t bytes, size_t alignment) {
  if (static_type_ == type) return static_;
  if (static_type_ != nullptr)
    throw EmulatorError("the kernel has two structs of shared memory: make them members of one");
  if (bytes + dynamic_bytes_ > kMaxSharedBytes || alignment > kAlignment)
    throw EmulatorError(
        fmt::format("{} bytes of static and {} of dynamic shared memory exceed the limit of {}", bytes,
                    dynamic_bytes_, kMaxSharedBytes));
  static_type_ = type;
  static_bytes_ = bytes;
  open_region(static_, bytes);
  return static_;
}

void SharedMemory::check_guards() const {
  if constexpr (kAddressSanitizer) return;
  check_guard(memory_, "dynamic", "before");
  check_guard(dynamic_ + dynamic_bytes_, dynamic_bytes_ > 0 ? "dynamic" : "static",
              dynamic_bytes_ > 0 ? "after" : "before");
  if (static_type_ != nullptr) check_guard(static_ + static_bytes_, "static", "after");
}

}  // namespace ddpm::emulator
