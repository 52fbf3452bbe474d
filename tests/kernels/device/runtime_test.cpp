// What only the CUDA runtime has: graphs, and errors with their place.
#include <cuda_runtime_api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <utility>

#include "kernels/device/cuda_check.h"
#include "kernels/device/graph.h"
#include "tests/kernels/device_memory.h"

namespace ddpm {
namespace {

TEST(CudaCheck, NamesPlaceExpressionAndError) {
  int evaluations = 0;
  const auto fail = [&] {
    ++evaluations;
    return cudaErrorInvalidValue;
  };
  try {
    DDPM_CUDA_CHECK(fail());
    FAIL() << "nothing was thrown";
  } catch (const CudaError& error) {
    EXPECT_EQ(error.code(), cudaErrorInvalidValue);
    EXPECT_THAT(error.what(), testing::ContainsRegex("runtime_test.cpp:[0-9]+: fail\\(\\) failed with "
                                                     "cudaErrorInvalidValue"));
  }
  EXPECT_EQ(evaluations, 1);
}

TEST(CudaGraph, RunsWhatWasCaptured) {
  const Stream stream;
  const DeviceBuffer<int> from = to_device(std::vector<int>{1, 2, 3}, stream);
  const DeviceBuffer<int> to = to_device(std::vector<int>{0, 0, 0}, stream);
  stream.synchronize();

  ExecutableGraph executable;
  GraphCapture capture(stream);
  copy_on_device(from.span(), to.span(), stream);
  executable.update(std::move(capture).finish());
  EXPECT_EQ(to_host(to, stream), (std::vector<int>{0, 0, 0})) << "captured, not run";
  executable.launch(stream);
  EXPECT_EQ(to_host(to, stream), (std::vector<int>{1, 2, 3}));

  // Another shape of graph: the update falls back to a new instance.
  GraphCapture second(stream);
  fill_bytes(to.span(), 0, stream);
  copy_on_device(from.span().subspan(0, 1), to.span().subspan(2, 1), stream);
  executable.update(std::move(second).finish());
  executable.launch(stream);
  EXPECT_EQ(to_host(to, stream), (std::vector<int>{0, 0, 1}));
}

TEST(CudaGraph, AFailedCaptureLeavesTheStreamUsable) {
  const Stream stream;
  const DeviceBuffer<int> buffer = to_device(std::vector<int>{1}, stream);
  stream.synchronize();
  try {
    const GraphCapture capture(stream);
    fill_bytes(buffer.span(), 0, stream);
    throw std::runtime_error("while recording");
  } catch (const std::runtime_error&) {
  }
  EXPECT_EQ(to_host(buffer, stream), (std::vector<int>{1})) << "what was recorded is dropped";
}

}  // namespace
}  // namespace ddpm
