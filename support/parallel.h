// Data-parallel loops over the CPU's cores. Depends on OpenMP alone, whose threads oneDNN shares: a pool of
// our own beside it would fight for the same cores.
#pragma once

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
#pragma omp parallel for schedule(static)
  for (int64_t i = 0; i < count; ++i) body(i);
#endif
}

}  // namespace ddpm
