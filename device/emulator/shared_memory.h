// Shared memory of the running block: allocated, poisoned with 0xFF before each block, and guarded.
#pragma once

#include <cstddef>

namespace ddpm::emulator {

// [guard | dynamic | guard | static | guard]. AddressSanitizer stops an access to a guard immediately;
// without it, a write to a guard is detected when the block ends.
class SharedMemory {
 public:
  SharedMemory();
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  // Discards the last block's contents and fills the memory of the new block with 0xFF: NaN as float or
  // BFloat16, out of bounds as an index.
  void begin_block(size_t dynamic_bytes);
  // Throw EmulatorError if the kernel uses more than there is.
  void* dynamic_region(size_t offset, size_t bytes, size_t alignment) const;
  void* static_region(const void* type, size_t bytes, size_t alignment);
  // Throws EmulatorError if the block wrote to a guard.
  void check_guards() const;

 private:
  std::byte* memory_;
  std::byte* dynamic_;
  size_t dynamic_bytes_ = 0;
  std::byte* static_;
  size_t static_bytes_ = 0;
  const void* static_type_ = nullptr;
};

}  // namespace ddpm::emulator
