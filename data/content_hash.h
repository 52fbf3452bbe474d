// A fingerprint of pixels and labels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace ddpm {

// XXH64 with seed 0 over the bytes in the order given. The text is "xxh64:" and 16 hexadecimal digits, the
// ones that `xxhsum -H64` prints. It tells data sets apart but is not cryptographic.
class ContentHash {
 public:
  ContentHash();
  ~ContentHash();
  ContentHash(const ContentHash&) = delete;
  ContentHash& operator=(const ContentHash&) = delete;

  void update(const void* bytes, size_t count);
  std::string text() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string content_hash(const void* bytes, size_t count);

}  // namespace ddpm
