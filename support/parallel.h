// Data-parallel loops over the CPU's cores.
#pragma once

#include <algorithm>
#include <cstdint>

#if defined(__SANITIZE_THREAD__)
#include <thread>
#include <vector>
#endif

namespace ddpm {

// Calls body(i) once for every i in [0, count), on all cores. The calls must be independent of each other:
// what each writes may not depend on the order, so that results are the same bits whatever the number of
// cores. `body` must not throw.
template <typename Body>
void parallel_for(int64_t count, const Body& body) {
#if defined(__SANITIZE_THREAD__)
  // ThreadSanitizer cannot see GNU OpenMP's barriers; plain threads let it check the bodies all the same.
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

// Work on arrays: of each chunk, elements [begin, end).
inline constexpr int64_t kParallelChunk = 1 << 16;  // so many elements are worth a thread's wake-up

constexpr int64_t parallel_chunks(int64_t count) { return (count + kParallelChunk - 1) / kParallelChunk; }

// Calls body(chunk, begin, end) for every chunk of [0, count). Chunks are the same whatever the number of
// cores. `body` must not throw.
template <typename Body>
void parallel_for_chunks(int64_t count, const Body& body) {
  parallel_for(parallel_chunks(count), [&](int64_t chunk) {
    body(chunk, chunk * kParallelChunk, std::min(count, (chunk + 1) * kParallelChunk));
  });
}

}  // namespace ddpm
