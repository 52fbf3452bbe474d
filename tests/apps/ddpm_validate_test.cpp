// ddpm_validate as its user meets it, on the emulated GPU.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/apps/program.h"
#include "tests/temporary_folder.h"

namespace ddpm {
namespace {

using ::testing::HasSubstr;

std::vector<std::string> small_network(const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"--image-size",
                                        "8",
                                        "--block-out-channels",
                                        "16,32",
                                        "--attention",
                                        "false,true",
                                        "--layers-per-block",
                                        "1",
                                        "--norm-num-groups",
                                        "4",
                                        "--batch",
                                        "2",
                                        "--steps",
                                        "3"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

TEST(DdpmValidate, PrintsAndWritesOutputsWorstFirst) {
  const TemporaryFolder folder;
  const std::string json = (folder.path() / "report.json").string();
  const ProgramResult result =
      run_program("ddpm_validate_emulated", small_network({"--precision", "bf16", "--json", json}));
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_THAT(result.out, HasSubstr("emulated GPU in bf16"));
  EXPECT_THAT(result.out, HasSubstr("0 of "));
  std::ifstream file(json);
  const nlohmann::json report = nlohmann::json::parse(file);
  EXPECT_TRUE(report["within_bounds"].get<bool>());
  EXPECT_TRUE(report["complete"].get<bool>());
  EXPECT_EQ(report["compared"], report["of"]);
  EXPECT_EQ(report["steps"].size(), 5U) << "three losses, the gradient and its norm";
  ASSERT_GT(report["operations"].size(), 100U);
  double before = 1;
  for (const auto& output : report["operations"]) {
    const double error = output["error"], bound = output["bound"];
    const double part = error == 0 ? 0 : error / bound;
    EXPECT_LE(part, before) << output;
    before = part;
  }
}

TEST(DdpmValidate, TakesTheUpsampleForm) {
  for (const char* form : {"folded", "nearest"}) {
    const ProgramResult result = run_program("ddpm_validate_emulated", small_network({"--upsample", form}));
    EXPECT_EQ(result.exit_code, 0) << form << result.out << result.err;
  }
}

TEST(DdpmValidate, ComparesOnlyOperations) {
  const TemporaryFolder folder;
  const std::string json = (folder.path() / "report.json").string();
  const ProgramResult result =
      run_program("ddpm_validate_emulated", small_network({"--steps", "0", "--json", json}));
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  std::ifstream file(json);
  const nlohmann::json report = nlohmann::json::parse(file);
  EXPECT_TRUE(report["complete"].get<bool>());
  EXPECT_TRUE(report["steps"].empty());
  EXPECT_GT(report["operations"].size(), 100U);
}

// So many steps take hours, so the limit comes among them, on a machine of any speed.
const std::vector<std::string> kEndless = {"--steps", "1000000"};

void expect_incomplete(const std::string& json) {
  std::ifstream file(json);
  const nlohmann::json report = nlohmann::json::parse(file);
  EXPECT_FALSE(report["complete"].get<bool>());
  EXPECT_TRUE(report["within_bounds"].get<bool>()) << "of what was compared";
  EXPECT_GT(report["compared"], 0);
  EXPECT_LT(report["compared"], report["of"]);
  EXPECT_FALSE(report["operations"].empty());
}

TEST(DdpmValidate, StopsAtItsTimeLimitAndReports) {
  const TemporaryFolder folder;
  const std::string json = (folder.path() / "report.json").string();
  std::vector<std::string> arguments = small_network(kEndless);
  arguments.insert(arguments.end(), {"--seconds", "8", "--json", json});
  const ProgramResult result = run_program("ddpm_validate_emulated", arguments);
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_THAT(result.out, HasSubstr("stopped after 8 s: "));
  EXPECT_THAT(result.out, HasSubstr("all compared results agree"));
  EXPECT_THAT(result.err, HasSubstr("comparing")) << "a line every five seconds";
  EXPECT_THAT(result.err, HasSubstr("% of its bound"));
  expect_incomplete(json);
}

// After SIGKILL the log is complete up to then, although it is a file.
TEST(DdpmValidate, KilledRunLeavesItsOutput) {
  const TemporaryFolder folder;
  RunningProgram program("ddpm_validate_emulated", small_network(kEndless), folder.path());
  ASSERT_TRUE(says(folder.path() / "stdout", "emulated GPU in fp32"));
  program.send(SIGKILL);
  EXPECT_EQ(program.wait().exit_code, 128 + SIGKILL);
}

TEST(DdpmValidate, SigtermStopsItLikeItsTimeLimit) {
  const TemporaryFolder folder;
  const std::string json = (folder.path() / "report.json").string();
  std::vector<std::string> arguments = small_network(kEndless);
  arguments.insert(arguments.end(), {"--json", json});
  RunningProgram program("ddpm_validate_emulated", arguments, folder.path());
  ASSERT_TRUE(says(folder.path() / "stderr", "comparing"));
  program.send(SIGTERM);
  const ProgramResult result = program.wait();
  EXPECT_EQ(result.exit_code, 0) << result.out << result.err;
  EXPECT_THAT(result.out, HasSubstr("interrupted: "));
  expect_incomplete(json);
}

TEST(DdpmValidate, BadInputIsRefusedInOneLine) {
  const std::vector<std::vector<std::string>> bad = {{"--precision", "fp16"},
                                                     {"--reference", "half"},
                                                     {"--block-out-channels", "12,24"},
                                                     {"--json", "/proc/no/such.json"},
                                                     {"--steps", "-1"},
                                                     {"--upsample", "bilinear"},
                                                     {"--seconds", "-1"}};
  for (const std::vector<std::string>& arguments : bad) {
    const ProgramResult result = run_program("ddpm_validate_emulated", small_network(arguments));
    EXPECT_EQ(result.exit_code, 2) << arguments[0];
    EXPECT_THAT(result.err, HasSubstr("ddpm_validate_emulated: ")) << arguments[0];
  }
}

}  // namespace
}  // namespace ddpm
