// The shared memory of the block that is running: given out, poisoned with 0xFF before each block, fenced
// in.
#pragma once

#include <cstddef>

namespace ddpm::emulator {

// [guard | dynamic | guard | static | guard]. AddressSanitizer stops an access to a guard where it happens;
// without it, a write there is found when the block ends.
class SharedMemory {
 public:
  SharedMemory();
  ~SharedMemory();
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  // Forgets the last block's contents and fills what the new block may use with 0xFF: NaN as float or
  // BFloat16, and out of bounds as an index.
  void begin_block(size_t dynamic_bytes);
  // Throw EmulatorError where the kernel asks for more than there is.
  void* dynamic_region(size_t offset, size_t bytes, size_t alignment) const;
  void* static_region(const void* type, size_t bytes, size_t alignment);
  // Throws EmulatorError where the block wrote to a guard.
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
