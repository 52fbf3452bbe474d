// CUDA errors and their call sites.
#include <cuda_runtime_api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "device/cuda_check.h"

namespace ddpm {
namespace {

TEST(CudaCheck, NamesSiteExpressionAndError) {
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

}  // namespace
}  // namespace ddpm
