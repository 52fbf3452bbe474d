#include "data/content_hash.h"

#define XXH_INLINE_ALL  // compiled in: the programs need no xxHash library where they run
#include <fmt/format.h>
#include <xxhash.h>

namespace ddpm {

struct ContentHash::State {
  XXH64_state_t xxh64;
};

ContentHash::ContentHash() : state_(std::make_unique<State>()) { XXH64_reset(&state_->xxh64, 0); }
ContentHash::~ContentHash() = default;

void ContentHash::update(const void* bytes, size_t count) { XXH64_update(&state_->xxh64, bytes, count); }

std::string ContentHash::text() const { return fmt::format("xxh64:{:016x}", XXH64_digest(&state_->xxh64)); }

std::string content_hash(const void* bytes, size_t count) {
  ContentHash hash;
  hash.update(bytes, count);
  return hash.text();
}

}  // namespace ddpm
