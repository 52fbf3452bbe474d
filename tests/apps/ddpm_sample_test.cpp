// ddpm_sample as a user meets it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>
#include <sstream>
#include <vector>

#include "data/npy.h"
#include "data/png.h"
#include "data/zip_reader.h"
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
              "--process-images", "2", "--process-frames", "3"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(path("png")), {}), 6);
  const Image strip = read_png(path("strip.png"));
  // Two rows and three columns of 8 pixels, with gaps of 2 around each.
  EXPECT_EQ(strip.width, 3 * 8 + 4 * 2);
  EXPECT_EQ(strip.height, 2 * 8 + 3 * 2);
  EXPECT_THAT(read_file(path("a.png")), HasSubstr("acTL"));
  const ProgramResult old_name =
      sample({"--count", "2", "--process", path("old.png"), "--process-moments", "4"});
  ASSERT_EQ(old_name.exit_code, 0) << old_name.err;
  EXPECT_EQ(read_png(path("old.png")).width, 4 * 8 + 5 * 2);
  EXPECT_THAT(read_file(path("samples.npz")), AllOf(HasSubstr("arr_0.npy"), HasSubstr("(6, 8, 8, 3)")));
}

TEST_F(SampleTest, MetricsHaveALineForEachBatch) {
  ASSERT_EQ(
      sample({"--count", "5", "--batch", "2", "--npz", path("a.npz"), "--metrics", path("metrics.jsonl")})
          .exit_code,
      0);
  std::istringstream lines(read_file(path("metrics.jsonl")));
  std::vector<std::string> begins;
  for (std::string line; std::getline(lines, line);) {
    EXPECT_THAT(line, HasSubstr("\"images_per_second\":"));
    begins.push_back(line.substr(0, line.find(',')));
  }
  EXPECT_THAT(begins, ::testing::ElementsAre("{\"images\":2", "{\"images\":4", "{\"images\":5"));
  const ProgramResult refused =
      sample({"--count", "1", "--npz", path("b.npz"), "--metrics", path("run")});  // a folder
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("--metrics"));
}

TEST_F(SampleTest, ImageDoesNotDependOnBatchAndCount) {
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

TEST_F(SampleTest, StoppedSamplingContinuesAndTheArrayIsComplete) {
  const std::vector<std::string> whole = {"--count", "7", "--batch", "3", "--png-dir", path("whole")};
  ASSERT_EQ(sample(whole).exit_code, 0);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(path("whole")), {}), 7) << "images only";

  const TemporaryFolder logs;
  const std::vector<std::string> slow = {"--checkpoint", path("run"),
                                         "--steps",      "4",
                                         "--seed",       "3",
                                         "--count",      "7",
                                         "--batch",      "1",
                                         "--png-dir",    path("part"),
                                         "--npz",        path("part.npz")};
  RunningProgram stopped("ddpm_sample", slow, logs.path());
  ASSERT_TRUE(appears(path("part") + "/000000.png"));
  stopped.send(SIGINT);
  const ProgramResult result = stopped.wait();
  if (result.exit_code != 0) {  // it may have come to its end before the signal
    EXPECT_THAT(result.err, HasSubstr("repeat the command to continue"));
    EXPECT_FALSE(std::filesystem::exists(path("part.npz")));
  }
  // Existing images stay: this one is recognized by its color.
  const Image marked(8, 8, 3);
  write_png(path("part/000000.png"), marked);
  std::filesystem::remove(path("part/000004.png"));
  const ProgramResult again = run_program("ddpm_sample", slow);
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.err, HasSubstr("existed already"));
  EXPECT_EQ(read_png(path("part/000000.png")).pixels, marked.pixels);
  for (const char* name : {"000001.png", "000004.png", "000006.png"})
    EXPECT_TRUE(read_file(path("part") + "/" + name) == read_file(path("whole") + "/" + name)) << name;

  const NpyArray<uint8_t> array = parse_npy<uint8_t>(ZipReader(path("part.npz")).read(0), "arr_0.npy");
  EXPECT_EQ(array.shape, (std::vector<int64_t>{7, 8, 8, 3}));
  const std::vector<uint8_t> last = read_png(path("whole/000006.png")).pixels;
  EXPECT_TRUE(
      std::equal(last.begin(), last.end(), array.values.end() - static_cast<std::ptrdiff_t>(last.size())));
  EXPECT_TRUE(std::equal(marked.pixels.begin(), marked.pixels.end(), array.values.begin()));
}

TEST_F(SampleTest, AFolderHoldsImagesOfOneKind) {
  ASSERT_EQ(sample({"--count", "2", "--png-dir", path("png")}).exit_code, 0);
  const auto refused = [&](const std::vector<std::string>& other) {
    std::vector<std::string> arguments = {"--count", "2", "--png-dir", path("png")};
    arguments.insert(arguments.end(), other.begin(), other.end());
    const ProgramResult result = sample(arguments);
    EXPECT_EQ(result.exit_code, 2) << other.front();
    EXPECT_THAT(result.err, HasSubstr("png.json"));
  };
  refused({"--sampler", "ddpm"});
  refused({"--rounding", "truncate"});
  refused({"--weights", "raw"});
  // More of the same are fine; batch, count and implementation do not change the kind.
  const ProgramResult more =
      sample({"--count", "3", "--batch", "1", "--upsample", "nearest", "--png-dir", path("png")});
  EXPECT_EQ(more.exit_code, 0) << more.err;
  EXPECT_THAT(more.err, HasSubstr("1 images"));
  const ProgramResult fewer = sample({"--count", "2", "--png-dir", path("png")});
  EXPECT_EQ(fewer.exit_code, 0) << fewer.err;
  EXPECT_THAT(fewer.err, HasSubstr("holds 3 images")) << "an evaluator would take them all";
}

class ConditionalSampleTest : public SampleTest {
 protected:
  void SetUp() override {
    SmallRun::SetUp();
    const ProgramResult trained = run_program(
        "ddpm_train",
        training("run", {"--steps", "3", "--condition", "attributes", "--initialisation", "pytorch"}));
    ASSERT_EQ(trained.exit_code, 0) << trained.err;
  }
};

TEST_F(ConditionalSampleTest, AttributesAndGuidanceChangeTheImages) {
  const auto draw = [&](const std::string& name, const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"--count", "2", "--png-dir", path(name)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const ProgramResult result = sample(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return std::pair(read_file(path(name) + "/000000.png"), read_file(path(name) + "/000001.png"));
  };
  const auto open = draw("open", {}), smiling = draw("smiling", {"--attr", "Smiling=1,Eyeglasses=0"}),
             serious = draw("serious", {"--attr", "Smiling=0"});
  EXPECT_NE(smiling.first, open.first);
  EXPECT_NE(smiling.first, serious.first);
  const auto turns =
      draw("turns", {"--attr", "Smiling=1,Eyeglasses=0", "--attr", "Smiling=0", "--batch", "1"});
  EXPECT_EQ(turns.first, smiling.first);
  EXPECT_EQ(turns.second, serious.second);
  const auto guided = draw("guided", {"--attr", "Smiling=0", "--guidance", "3"});
  EXPECT_NE(guided.first, serious.first);
  EXPECT_EQ(draw("alone", {"--attr", "Smiling=0", "--guidance", "3", "--batch", "1"}), guided);
  // A folder holds images of one condition and one scale.
  EXPECT_EQ(sample({"--count", "2", "--png-dir", path("guided"), "--attr", "Smiling=0"}).exit_code, 2);
}

TEST_F(ConditionalSampleTest, BadConditionsAreOneSentenceAndExitCodeTwo) {
  const auto refused = [&](const std::vector<std::string>& more, const char* says) {
    std::vector<std::string> arguments = {"--grid", path("grid.png")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const ProgramResult result = sample(arguments);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_THAT(result.err, AllOf(::testing::StartsWith("ddpm_sample: "), HasSubstr(says)));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  };
  refused({"--attr", "Smilling=1"}, "there is no attribute 'Smilling': choose among Bald, Bangs");
  refused({"--attr", "Smiling"}, "Smiling=1 or Smiling=0");
  refused({"--class", "cat"}, "use --attr");
  refused({"--attr", "Smiling=1", "--guidance", "-2"}, "--guidance: expected");
  refused({"--guidance", "much"}, "guidance");
}

TEST_F(SampleTest, BadInputIsOneSentenceAndExitCodeTwo) {
  const auto refused = [](const ProgramResult& result, const char* says) {
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_THAT(result.err, AllOf(::testing::StartsWith("ddpm_sample: "), HasSubstr(says)));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  };
  const std::string grid = path("grid.png");
  refused(sample({}), "--grid");
  refused(sample({"--grid", grid, "--count", "0"}), "--count: expected");
  refused(sample({"--grid", grid, "--sampler", "magic"}), "magic");
  refused(sample({"--grid", grid, "--steps", "5000"}), "steps");
  refused(sample({"--grid", grid, "--upsample", "bilinear"}), "choose one of auto, folded, nearest");
  refused(sample({"--grid", grid, "--attr", "Smiling=1"}), "no condition");
  refused(sample({"--grid", grid, "--class", "3"}), "no condition");
  refused(sample({"--grid", grid, "--guidance", "3"}), "no condition");
  refused(sample({"--grid", grid, "--threshold-max", "2"}), "--threshold-ratio");
  refused(sample({"--grid", grid, "--clip-range", "2", "--no-clip"}),
          "--clip-range and --no-clip exclude each other");
  refused(sample({"--grid", grid, "--clip-range", "2", "--threshold-ratio", "0.9"}),
          "--clip-range and --threshold-ratio exclude each other");
  refused(sample({"--grid", grid, "--clip-range", "0"}), "clip range");
  refused(sample({"--grid", grid, "--eta", "much"}), "--eta");
  refused(sample({"--grid", grid, "--spacing", "odd"}), "odd");
  refused(sample({"--grid", grid, "--weights", "both"}), "'both'");
  refused(sample({"--grid", "/proc/no/grid.png"}), "/proc/no");
  refused(run_program("ddpm_sample", {"--checkpoint", path("none"), "--grid", grid}), "none");
  EXPECT_FALSE(std::filesystem::exists(grid));
}

TEST_F(SampleTest, ClipRangeOverridesTheModel) {
  // DDIM's last step lands on the estimate of the clean image, which is clipped, but for rounding.
  const auto largest = [&](const std::string& run, const std::vector<std::string>& more) {
    std::vector<std::string> arguments{"--checkpoint", path(run), "--steps",     "4",
                                       "--count",      "2",       "--float-npy", path("drawn.npy")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const ProgramResult result = run_program("ddpm_sample", arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    float most = 0;
    for (const float value : read_npy<float>(path("drawn.npy")).values)
      most = std::max(most, std::abs(value));
    return most;
  };
  const std::pair<const char*, std::vector<std::string>> models[] = {
      {"clipping", {"--clip-sample-range", "1"}},
      {"unclipped", {"--clip-sample", "false"}},
      {"thresholding", {"--thresholding", "true"}}};
  for (const auto& [run, options] : models) {
    std::vector<std::string> arguments = training(run, {"--steps", "3"});
    arguments.insert(arguments.end(), options.begin(), options.end());
    ASSERT_EQ(run_program("ddpm_train", arguments).exit_code, 0) << run;
    EXPECT_GT(largest(run, {}), 0.5f) << run;
    EXPECT_LE(largest(run, {"--clip-range", "0.25"}), 0.25f + 1e-5f) << run;
    EXPECT_GT(largest(run, {"--no-clip"}), 1.5f) << run << ": an untrained network errs far more than that";
  }
}

TEST_F(SampleTest, EverySamplerAndItsOptionsTakeEffect) {
  const auto drawn = [&](const std::vector<std::string>& options) {
    const std::string file = path("drawn.npy");
    std::vector<std::string> arguments{"--count", "1", "--float-npy", file};
    arguments.insert(arguments.end(), options.begin(), options.end());
    const ProgramResult result = sample(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return read_npy<float>(file).values;
  };
  const std::vector<std::string> samplers = {"ddpm",  "ddim",  "dpmpp_2m",        "dpmpp_2m_sde",
                                             "unipc", "euler", "euler_ancestral", "heun"};
  std::set<std::vector<float>> images;
  for (const std::string& sampler : samplers) images.insert(drawn({"--sampler", sampler}));
  // DDIM is Euler's method in sigma, but from other noise levels: no two of these are the same.
  EXPECT_EQ(images.size(), samplers.size());
  const std::vector<float> plain = drawn({"--sampler", "dpmpp_2m"});
  EXPECT_NE(drawn({"--sampler", "dpmpp_2m", "--sigmas", "karras"}), plain);
  EXPECT_NE(drawn({"--sampler", "dpmpp_2m", "--order", "1"}), plain);
  EXPECT_NE(drawn({"--sampler", "dpmpp_2m", "--final-sigma", "sigma_min"}), plain);
  EXPECT_NE(drawn({"--sampler", "dpmpp_2m", "--threshold-ratio", "0.5"}), plain);
  const auto refused = [&](const char* sampler, const char* option, const char* value, const char* says) {
    const ProgramResult result = sample({"--grid", path("g.png"), "--sampler", sampler, option, value});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.err, HasSubstr(says));
  };
  refused("unipc", "--order", "4", "order");
  refused("euler", "--sigmas", "cubic", "cubic");
  refused("ddim", "--sigmas", "karras", "ddim");
}

}  // namespace
}  // namespace ddpm
