// How the user's GPU options translate to library options.
#include <gtest/gtest.h>

#include "runtime/library/cuda_library_options.h"
#include "runtime/library/driver_version.h"

namespace ddpm {
namespace {

TEST(CudaLibraryOptions, FollowTheUsersOptions) {
  const CudaLibraryOptions options = cuda_library_options(
      {.plan_check = PlanCheck::kWarn, .plan_cache = "mine.json", .workspace_mb = 4096}, {});
  EXPECT_EQ(options.limits.workspace_bytes, int64_t{1} << 32);
  EXPECT_EQ(options.plan_cache, "mine.json");
  EXPECT_EQ(options.check, PlanCheck::kWarn);
}

TEST(DriverVersion, IsParsedFromTheKernelModulesFile) {
  EXPECT_EQ(kernel_driver_version(
                "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  "
                "(builder@host)  Sun Jul 27 07:08:15 UTC 2025\nGCC version:  gcc version 13.3.0\n"),
            "580.65.06");
  EXPECT_EQ(kernel_driver_version("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.54  Tue Jun  6\n"),
            "535.54");
  EXPECT_EQ(kernel_driver_version(""), "");
  EXPECT_EQ(kernel_driver_version("something else\n1.2.3\n"), "");
}

TEST(CudaLibraryOptions, DefaultsMatch) {
  const CudaLibraryOptions chosen = cuda_library_options({}, {}), defaults;
  EXPECT_EQ(chosen.choice, defaults.choice);
  EXPECT_EQ(chosen.check, defaults.check);
  EXPECT_EQ(chosen.plan_cache, defaults.plan_cache);
  EXPECT_EQ(to_string(chosen.limits), to_string(defaults.limits));
}

// Otherwise "first" would mean whatever an earlier run measured.
TEST(CudaLibraryOptions, UnmeasuredPlansAreNotCached) {
  EXPECT_TRUE(cuda_library_options({.plan_choice = PlanChoice::kFirstProposed}, {}).plan_cache.empty());
  EXPECT_TRUE(cuda_library_options({.plan_cache = "none"}, {}).plan_cache.empty());
}

}  // namespace
}  // namespace ddpm
