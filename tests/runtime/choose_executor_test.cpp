// Which executor the user's device and precision options select.
#include "runtime/choose_executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/error_types.h"

namespace ddpm {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// The error message of choosing this executor; empty if there is none.
std::string refusal(Device device, ComputePrecision precision) {
  try {
    choose_executor(device, precision);
    return {};
  } catch (const InputError& error) {
    return error.what();
  }
}

TEST(Executors, CpuComputesInFp32) {
  for (const ComputePrecision precision : {ComputePrecision::kAuto, ComputePrecision::kFp32}) {
    const ExecutorChoice choice = choose_executor(Device::kCpu, precision);
    EXPECT_EQ(choice.device, Device::kCpu);
    EXPECT_EQ(choice.precision, ComputePrecision::kFp32);
    EXPECT_EQ(choice.description, "cpu, fp32");
  }
  EXPECT_THAT(refusal(Device::kCpu, ComputePrecision::kBf16), HasSubstr("use fp32 on the CPU"));
}

TEST(Executors, AutoUsesCudaOrExplainsWhyNot) {
  const ExecutorChoice automatic = choose_executor(Device::kAuto, ComputePrecision::kAuto);
  if (automatic.device == Device::kCuda) {
    EXPECT_EQ(automatic.precision, ComputePrecision::kBf16);
    EXPECT_EQ(refusal(Device::kCuda, ComputePrecision::kFp32), "");
    return;
  }
  EXPECT_THAT(automatic.description, StartsWith("cpu, fp32 (no GPU is used: "));
  const std::string why = refusal(Device::kCuda, ComputePrecision::kAuto);
  EXPECT_THAT(why, StartsWith("--device cuda: "));
  EXPECT_THAT(why, HasSubstr("--device cpu")) << "what to do";
  EXPECT_THAT(refusal(Device::kAuto, ComputePrecision::kBf16), HasSubstr("bf16 needs a GPU"));
}

TEST(Executors, CpuExecutorRunsPrograms) {
  Program program;
  const BufferId counter = program.add_buffer("counter", {1}, Role::kState, DType::kIndex);
  program.add("count", Phase::kUpdate, AdvanceCounter{counter});
  const auto executor =
      make_executors(choose_executor(Device::kCpu, ComputePrecision::kAuto))(std::move(program));
  executor->run(Phase::kUpdate);
  EXPECT_EQ(executor->read_index(counter), 1);
}

}  // namespace
}  // namespace ddpm
