// ddpm_inspect as a user meets it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "data/png.h"
#include "support/atomic_file.h"
#include "tests/apps/program.h"
#include "tests/temporary_folder.h"

namespace ddpm {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

ProgramResult inspect(const std::vector<std::string>& arguments) {
  return run_program("ddpm_inspect", arguments);
}

TEST(DdpmInspect, PrintsASummary) {
  const ProgramResult result = inspect({"--preset", "ddim-celeba-64", "--batch", "128"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("78,700,803 parameters"));
  EXPECT_THAT(result.out, HasSubstr("batch 128"));
}

TEST(DdpmInspect, ListsOperationsAndTensorsOnRequest) {
  const ProgramResult result =
      inspect({"--preset", "tiny-32", "--operations", "--tensors", "--program", "forward"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("down_blocks.1.attentions.0.to_qkv"));
  EXPECT_THAT(result.out, HasSubstr("down_blocks.1.attentions.0.to_q.weight"));
}

TEST(DdpmInspect, WritesDrawingsAndJson) {
  const TemporaryFolder folder;
  const auto file = [&](const char* name) { return (folder.path() / name).string(); };
  const ProgramResult result = inspect({"--preset", "tiny-32", "--memory-svg", file("memory.svg"),
                                        "--graph-svg", file("graph.svg"), "--json", file("figures.json")});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(read_file(file("memory.svg")), StartsWith("<svg "));
  EXPECT_THAT(read_file(file("graph.svg")), StartsWith("<svg "));
  EXPECT_THAT(read_file(file("figures.json")), StartsWith("{"));
}

TEST(DdpmInspect, DrawsTheForwardProcess) {
  const TemporaryFolder folder;
  const auto file = [&](const char* name) { return (folder.path() / name).string(); };
  ASSERT_EQ(run_program("ddpm_data",
                        {"synthetic-faces", "--count", "3", "--size", "16", "--out", file("faces.npy")})
                .exit_code,
            0);
  const ProgramResult result =
      inspect({"--preset", "tiny-32", "--data", file("faces.npy"), "--noising", file("noising.png")});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  const Image strip = read_png(file("noising.png"));
  EXPECT_EQ(strip.width, 11 * 16 + 12 * 2);  // frames, and gaps of 2 between and around
  EXPECT_EQ(strip.height, 3 * 16 + 4 * 2);   // one row per image
}

TEST(DdpmInspect, TakesAConfigurationOverriddenByFlags) {
  const TemporaryFolder folder;
  const std::string config = (folder.path() / "run.toml").string();
  write_file_atomically(config, "[run]\npreset = \"tiny-32\"\nbatch = 5\n");
  EXPECT_THAT(inspect({"--config", config}).out, HasSubstr("batch 5"));
  EXPECT_THAT(inspect({"--config", config, "--batch", "7"}).out, HasSubstr("batch 7"));
}

TEST(DdpmInspect, ShowsTheLabelsOfAConditionalNetwork) {
  const TemporaryFolder folder;
  const std::string config = (folder.path() / "run.toml").string();
  const std::string condition = "[condition]\ncondition = \"classes\"\n";
  write_file_atomically(config, condition + "label_names = [\"cat\", \"dog\"]\n");
  const ProgramResult result = inspect({"--config", config, "--operations", "--tensors"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("gather_labels"));
  EXPECT_THAT(result.out, HasSubstr("class_embedding.weight"));

  write_file_atomically(config, condition);
  const ProgramResult nameless = inspect({"--config", config});
  EXPECT_EQ(nameless.exit_code, 2);
  EXPECT_THAT(nameless.err, HasSubstr("run.toml does not name the labels"));
}

struct Mistake {
  std::vector<std::string> arguments;
  const char* message;
};

TEST(DdpmInspect, NamesMistakes) {
  for (const Mistake& mistake : std::vector<Mistake>{
           {{"--preset", "huge"}, "there is no preset 'huge'"},
           {{"--batch", "0"}, "batch: expected at least 1, got 0"},
           {{"--batch", "-3"}, "batch: expected at least 1, got -3"},
           {{"--batch", "many"}, "expected a whole number"},
           {{"--program", "testing"}, "there is no program 'testing'"},
           {{"--precision", "fp8"}, "there is no precision 'fp8'"},
           {{"--config", "/nowhere/run.toml"}, "/nowhere/run.toml"},
           {{"--memory-svg", "/nowhere/plan.svg"}, "/nowhere/plan.svg"},
           {{"--noising", "strip.png"}, "--data"},
           {{"--noising", "strip.png", "--data", "/nowhere/faces.npy"}, "/nowhere/faces.npy"},
           {{"--unknown"}, "--unknown"},
       }) {
    const ProgramResult result = inspect(mistake.arguments);
    EXPECT_EQ(result.exit_code, 2) << mistake.message;
    EXPECT_THAT(result.err, HasSubstr(mistake.message));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  }
}

TEST(DdpmInspect, HelpFitsAScreen) {
  const ProgramResult result = inspect({"--help"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_LE(std::count(result.out.begin(), result.out.end(), '\n'), 40);
}

}  // namespace
}  // namespace ddpm
