// The example in docs/emulator.md is a tested kernel: sound/row_mean.cu.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

namespace {

std::string read(const std::string& path) {
  std::ifstream file(std::string(DDPM_SOURCE_FOLDER) + "/" + path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(EmulatorDocumentation, ShowsTheTestedKernel) {
  const std::string kernel = read("tests/device/emulator/sound/row_mean.cu");
  ASSERT_FALSE(kernel.empty());
  EXPECT_THAT(read("docs/emulator.md"), testing::HasSubstr(kernel));
}

}  // namespace
