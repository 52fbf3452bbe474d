// Linked into every test that needs a GPU: without one, each test case is skipped with the reason. Fixtures
// must not touch the GPU in their constructors, which run regardless.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

namespace {

// A listener and not an Environment: cases skipped by an Environment count as passed.
class RequireGpu : public testing::EmptyTestEventListener {
 public:
  void OnTestStart(const testing::TestInfo&) override {
    int count = 0;
    const cudaError_t code = cudaGetDeviceCount(&count);
    if (code != cudaSuccess || count == 0) GTEST_SKIP() << "no GPU: " << cudaGetErrorString(code);
  }
};

const bool kRegistered = [] {
  testing::UnitTest::GetInstance()->listeners().Append(new RequireGpu);  // GoogleTest deletes it
  return true;
}();

}  // namespace
