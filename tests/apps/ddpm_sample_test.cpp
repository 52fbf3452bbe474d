// ddpm_sample as a user meets it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "data/png.h"
#include "support/atomic_file.h"
#include "tests/apps/small_run.h"

namespace ddpm {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class SampleTest : public SmallRun {
 protected:
  void SetUp() override {
    SmallRun::SetUp();
    ASSERT_EQ(run_program("ddpm_train", training("run", {"--steps", "3"})).exit_code, 0);
  }
  ProgramResult sample(const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"--checkpoint", path("run"), "--steps", "4", "--seed", "3"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_program("ddpm_sample", arguments);
  }
};

TEST_F(SampleTest, WritesEveryFormAtOnce) {
  const ProgramResult result =
      sample({"--count", "6", "--batch", "4", "--grid", path("grid.png"), "--png-dir", path("png"), "--npz",
              path("samples.npz"), "--process", path("strip.png"), "--animation", path("a.png"),
              "--process-images", "2", "--process-moments", "3"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(path("png")), {}), 6);
  const Image strip = read_png(path("strip.png"));
  // Two rows and three columns of 8 pixels, with gaps of 2 around each.
  EXPECT_EQ(strip.width, 3 * 8 + 4 * 2);
  EXPECT_EQ(strip.height, 2 * 8 + 3 * 2);
  EXPECT_THAT(read_file(path("a.png")), HasSubstr("acTL"));
  EXPECT_THAT(read_file(path("samples.npz")), AllOf(HasSubstr("arr_0.npy"), HasSubstr("(6, 8, 8, 3)")));
}

TEST_F(SampleTest, AnImageIsTheSameWhateverTheBatchAndTheCount) {
  ASSERT_EQ(sample({"--count", "5", "--batch", "5", "--png-dir", path("a"), "--sampler", "ddpm"}).exit_code,
            0);
  ASSERT_EQ(sample({"--count", "5", "--batch", "2", "--png-dir", path("b"), "--sampler", "ddpm"}).exit_code,
            0);
  ASSERT_EQ(sample({"--count", "1", "--first", "4", "--png-dir", path("c"), "--sampler", "ddpm"}).exit_code,
            0);
  for (const char* name : {"000000.png", "000003.png", "000004.png"})
    EXPECT_TRUE(read_file(path("a") + "/" + name) == read_file(path("b") + "/" + name)) << name;
  EXPECT_TRUE(read_file(path("a/000004.png")) == read_file(path("c/000004.png")));
  EXPECT_FALSE(read_file(path("a/000000.png")) == read_file(path("a/000004.png")));
}

TEST_F(SampleTest, BadInputIsOneSentenceAndExitCodeTwo) {
  const auto refused = [](const ProgramResult& result, const char* says) {
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_THAT(result.err, AllOf(::testing::StartsWith("ddpm_sample: "), HasSubstr(says)));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  };
  const std::string grid = path("grid.png");
  refused(sample({}), "--grid");
  refused(sample({"--grid", grid, "--count", "0"}), "--count 0");
  refused(sample({"--grid", grid, "--sampler", "magic"}), "magic");
  refused(sample({"--grid", grid, "--steps", "5000"}), "steps");
  refused(sample({"--grid", grid, "--spacing", "odd"}), "odd");
  refused(sample({"--grid", grid, "--weights", "both"}), "--weights both");
  refused(sample({"--grid", "/proc/no/grid.png"}), "/proc/no");
  refused(run_program("ddpm_sample", {"--checkpoint", path("none"), "--grid", grid}), "none");
  EXPECT_FALSE(std::filesystem::exists(grid));
}

}  // namespace
}  // namespace ddpm
