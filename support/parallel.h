// Data-parallel loops over all CPU cores.
#pragma once

#include <algorithm>
#include <cstdint>

#if defined(__SANITIZE_THREAD__)
#include <thread>
#include <vector>
#endif

namespace ddpm {

// Calls body(i) once for every i in [0, count). The calls must be independent: their results must not depend
// on the order, so that they are bit-identical for any number of cores. `body` must not throw.
template <typename Body>
void parallel_for(int64_t count, const Body& body) {
#if defined(__SANITIZE_THREAD__)
  // ThreadSanitizer does not understand GNU OpenMP's barriers; with plain threads it can check the bodies.
  constexpr int64_t kThreads = 3;
  std::vector<std::thread> threads;
  for (int64_t k = 0; k < kThreads; ++k)
    threads.emplace_back([&, k] {
      for (int64_t i = count * k / kThreads; i < count * (k + 1) / kThreads; ++i) body(i);
    });
  for (std::thread& thread : threads) thread.join();
#else
#pragma omp parallel for schedule(static) if (count > 1)
  for (int64_t i = 0; i < count; ++i) body(i);
#endif
}

// Enough elements to be worth waking up a thread.
inline constexpr int64_t kParallelChunk = 1 << 16;

constexpr int64_t parallel_chunks(int64_t count) { return (count + kParallelChunk - 1) / kParallelChunk; }

// Calls body(chunk, begin, end) for every chunk of [0, count). The chunks do not depend on the number of
// cores. `body` must not throw.
template <typename Body>
void parallel_for_chunks(int64_t count, const Body& body) {
  parallel_for(parallel_chunks(count), [&](int64_t chunk) {
    body(chunk, chunk * kParallelChunk, std::min(count, (chunk + 1) * kParallelChunk));
  });
}

}  // namespace ddpm
