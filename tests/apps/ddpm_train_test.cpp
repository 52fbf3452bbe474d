// ddpm_train as a user meets it: exact resume, signals, and one clear sentence for bad input.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "support/atomic_file.h"
#include "tests/apps/small_run.h"

namespace ddpm {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

using TrainTest = SmallRun;

constexpr const char* kTensorFiles[] = {"model.safetensors", "ema.safetensors", "optimizer.safetensors"};

std::string checkpoint_folder(const std::string& run, int step) {
  return run + "/checkpoints/step-" + std::string(step < 10 ? "0000000" : "000000") + std::to_string(step);
}

void expect_same_checkpoint(const std::string& run_a, const std::string& run_b, int step) {
  for (const char* file : kTensorFiles)
    EXPECT_TRUE(read_file(checkpoint_folder(run_a, step) + "/" + file) ==
                read_file(checkpoint_folder(run_b, step) + "/" + file))
        << file;
}

TEST_F(TrainTest, ResumedRunMatchesStraightRunByBytes) {
  ASSERT_EQ(run_program("ddpm_train", training("straight", {"--steps", "20"})).exit_code, 0);
  ASSERT_EQ(run_program("ddpm_train", training("halves", {"--steps", "10"})).exit_code, 0);
  const ProgramResult resumed =
      run_program("ddpm_train", {"--out", path("halves"), "--resume", "--steps", "20"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  expect_same_checkpoint(path("straight"), path("halves"), 20);
}

TEST_F(TrainTest, StreamedDataSetTrainsTheSameBytes) {
  ASSERT_EQ(run_program("ddpm_train", training("mapped", {"--steps", "8"})).exit_code, 0);
  const ProgramResult streamed =
      run_program("ddpm_train", training("streamed", {"--steps", "5", "--data-placement", "streamed"}));
  ASSERT_EQ(streamed.exit_code, 0) << streamed.err;
  EXPECT_THAT(streamed.err, HasSubstr("streamed"));
  ASSERT_EQ(run_program("ddpm_train", {"--out", path("streamed"), "--resume", "--steps", "8"}).exit_code, 0);
  expect_same_checkpoint(path("mapped"), path("streamed"), 8);
}

TEST_F(TrainTest, ConditionalRunResumesByBytes) {
  const std::vector<std::string> condition = {
      "--condition",      "attributes", "--condition-dropout", "0.3", "--attribute-dropout", "0.8",
      "--loss-weighting", "min_snr",    "--sample-every",      "4",   "--sample-count",      "4",
      "--sample-steps",   "2",          "--sample-guidance",   "2"};
  const auto train = [&](const char* run, const char* steps) {
    std::vector<std::string> arguments = training(run, {"--steps", steps});
    arguments.insert(arguments.end(), condition.begin(), condition.end());
    return run_program("ddpm_train", arguments);
  };
  const ProgramResult straight = train("straight", "12");
  ASSERT_EQ(straight.exit_code, 0) << straight.err;
  ASSERT_EQ(train("halves", "6").exit_code, 0);
  const ProgramResult resumed =
      run_program("ddpm_train", {"--out", path("halves"), "--resume", "--steps", "12"});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  expect_same_checkpoint(path("straight"), path("halves"), 12);
  EXPECT_THAT(read_file(checkpoint_folder(path("straight"), 12) + "/state.json"), HasSubstr("Eyeglasses"));
  EXPECT_TRUE(std::filesystem::exists(path("straight") + "/samples/step-00000012.png"));
}

TEST_F(TrainTest, AnotherSeedGivesOtherWeights) {
  ASSERT_EQ(run_program("ddpm_train", training("a", {"--steps", "2"})).exit_code, 0);
  ASSERT_EQ(run_program("ddpm_train", training("b", {"--steps", "2", "--seed", "8"})).exit_code, 0);
  EXPECT_FALSE(read_file(checkpoint_folder(path("a"), 2) + "/model.safetensors") ==
               read_file(checkpoint_folder(path("b"), 2) + "/model.safetensors"));
}

TEST_F(TrainTest, SigtermFinishesTheStepAndSaves) {
  const TemporaryFolder output;
  RunningProgram program("ddpm_train", training("stopped", {"--steps", "1000000", "--checkpoint-every", "5"}),
                         output.path());
  ASSERT_TRUE(appears(path("stopped") + "/checkpoints/latest"));
  program.send(SIGTERM);
  const ProgramResult stopped = program.wait();
  EXPECT_EQ(stopped.exit_code, 0) << stopped.err;
  EXPECT_THAT(stopped.err, HasSubstr("--resume"));

  // Where it stopped depends on the machine: go on a little, and compare with a run that was never stopped.
  std::string latest = read_file(path("stopped") + "/checkpoints/latest");
  const int last = std::stoi(latest.substr(5)), target = last + 3;
  EXPECT_THAT(read_file(path("stopped") + "/metrics.jsonl"),
              HasSubstr("{\"step\":" + std::to_string(last) + ","))
      << "the losses of every step were looked at before it saved";
  const std::string steps = std::to_string(target);
  ASSERT_EQ(run_program("ddpm_train", {"--out", path("stopped"), "--resume", "--steps", steps}).exit_code, 0);
  ASSERT_EQ(run_program("ddpm_train", training("straight", {"--steps", steps})).exit_code, 0);
  std::string name = read_file(path("stopped") + "/checkpoints/latest");
  name.pop_back();
  for (const char* file : kTensorFiles)
    EXPECT_TRUE(read_file(path("stopped") + "/checkpoints/" + name + "/" + file) ==
                read_file(path("straight") + "/checkpoints/" + name + "/" + file))
        << file;
}

TEST_F(TrainTest, KillNineKeepsWhatWasSaved) {
  const TemporaryFolder output;
  RunningProgram program("ddpm_train", training("killed", {"--steps", "1000000", "--checkpoint-every", "5"}),
                         output.path());
  ASSERT_TRUE(appears(checkpoint_folder(path("killed"), 10) + "/state.json") ||
              appears(path("killed") + "/checkpoints/latest"));
  program.send(SIGKILL);
  EXPECT_EQ(program.wait().exit_code, 128 + SIGKILL);

  const int saved = std::stoi(read_file(path("killed") + "/checkpoints/latest").substr(5));
  const std::string steps = std::to_string(saved + 2);
  const ProgramResult resumed =
      run_program("ddpm_train", {"--out", path("killed"), "--resume", "--steps", steps});
  ASSERT_EQ(resumed.exit_code, 0) << resumed.err;
  ASSERT_EQ(run_program("ddpm_train", training("straight", {"--steps", steps})).exit_code, 0);
  std::string name = read_file(path("killed") + "/checkpoints/latest");
  name.pop_back();
  for (const char* file : kTensorFiles)
    EXPECT_TRUE(read_file(path("killed") + "/checkpoints/" + name + "/" + file) ==
                read_file(path("straight") + "/checkpoints/" + name + "/" + file))
        << file;
}

TEST_F(TrainTest, ResumeDropsMetricsOfRepeatedSteps) {
  ASSERT_EQ(run_program("ddpm_train", training("run", {"--steps", "10"})).exit_code, 0);
  const std::string metrics = path("run") + "/metrics.jsonl";
  write_file_atomically(metrics, read_file(metrics) + "{\"step\":15,\"loss\":1.0}\n{\"step\":20,\"lo");
  ASSERT_EQ(run_program("ddpm_train", {"--out", path("run"), "--resume", "--steps", "20"}).exit_code, 0);
  const std::string text = read_file(metrics);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 4);  // steps 5, 10, 15, 20
  EXPECT_THAT(text, Not(HasSubstr("\"step\":20,\"lo\n")));
}

TEST_F(TrainTest, ARunWithNothingToDoSaysSo) {
  const ProgramResult none = run_program("ddpm_train", training("run", {"--steps", "0"}));
  EXPECT_EQ(none.exit_code, 0);
  EXPECT_THAT(none.err, AllOf(HasSubstr("no step was done: the run is at step 0 of 0; checkpoint of step 0"),
                              Not(HasSubstr("loss"))));
  EXPECT_TRUE(std::filesystem::exists(checkpoint_folder(path("run"), 0) + "/state.json"));
  ASSERT_EQ(run_program("ddpm_train", {"--out", path("run"), "--resume", "--steps", "2"}).exit_code, 0);
  const ProgramResult done = run_program("ddpm_train", {"--out", path("run"), "--resume", "--steps", "2"});
  EXPECT_THAT(done.err, HasSubstr("no step was done: the run is at step 2 of 2"));
}

TEST_F(TrainTest, KeepsOnlyTheLastCheckpoints) {
  ASSERT_EQ(run_program("ddpm_train", training("run", {"--steps", "8", "--checkpoint-every", "2",
                                                       "--keep-checkpoints", "2"}))
                .exit_code,
            0);
  EXPECT_FALSE(std::filesystem::exists(checkpoint_folder(path("run"), 4)));
  EXPECT_TRUE(std::filesystem::exists(checkpoint_folder(path("run"), 6)));
  EXPECT_TRUE(std::filesystem::exists(checkpoint_folder(path("run"), 8)));
}

TEST_F(TrainTest, NonFiniteLossStopsTheRunAndKeepsTheLastGoodCheckpoint) {
  const ProgramResult diverged =
      run_program("ddpm_train", training("run", {"--steps", "200", "--checkpoint-every", "1",
                                                 "--learning-rate", "1e30", "--clip-norm", "0"}));
  EXPECT_EQ(diverged.exit_code, 1);
  EXPECT_THAT(diverged.err, AllOf(HasSubstr("at step"), HasSubstr("learning_rate")));
  const std::string weights =
      read_file(path("run") + "/checkpoints/" + read_file(path("run") + "/checkpoints/latest").substr(0, 13) +
                "/state.json");
  EXPECT_THAT(weights, HasSubstr("\"step\""));
}

TEST_F(TrainTest, PrintConfigReadsBackAsItself) {
  const ProgramResult printed =
      run_program("ddpm_train", training("run", {"--print-config", "--learning-rate", "0.00123"}));
  ASSERT_EQ(printed.exit_code, 0);
  write_file_atomically(path("config.toml"), printed.out);
  EXPECT_EQ(run_program("ddpm_train", {"--config", path("config.toml"), "--print-config"}).out, printed.out);
  // A flag overrides the file.
  EXPECT_THAT(
      run_program("ddpm_train", {"--config", path("config.toml"), "--print-config", "--batch", "5"}).out,
      HasSubstr("batch = 5"));
}

TEST_F(TrainTest, ProfilePrintsItsTablesToStandardOutput) {
  const ProgramResult result = run_program("ddpm_train", training("run", {"--profile", "--steps", "3"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(::testing::StartsWith("kind of operation"), HasSubstr("slowest operations"),
                                HasSubstr(".resnets.0.")));
  EXPECT_THAT(result.err, Not(HasSubstr("kind of operation")));
  EXPECT_THAT(run_program("ddpm_train", training("plain", {"--steps", "3"})).out, ::testing::IsEmpty());
}

TEST_F(TrainTest, ProfileJsonHoldsEveryOperation) {
  const std::string file = path("profile.json");
  const ProgramResult result =
      run_program("ddpm_train", training("run", {"--steps", "3", "--profile-json", file}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("kind of operation")) << "it asks for the profile too";
  const nlohmann::json json = nlohmann::json::parse(read_file(file));
  EXPECT_EQ(json.at("batch"), 4);
  EXPECT_EQ(json.at("form"), "eager") << "a CPU has no graphs";
  EXPECT_TRUE(json.at("graphs").empty());
  std::set<std::string> phases, kinds;
  for (const nlohmann::json& operation : json.at("operations")) {
    EXPECT_EQ(operation.at("count"), 3) << operation;
    EXPECT_GT(operation.at("seconds"), 0) << operation;
    EXPECT_GE(operation.at("flops"), 0) << operation;
    EXPECT_GE(operation.at("bytes"), 0) << operation;
    EXPECT_FALSE(operation.at("name").get<std::string>().empty());
    phases.insert(operation.at("phase"));
    kinds.insert(operation.at("kind"));
  }
  EXPECT_EQ(phases, (std::set<std::string>{"forward", "backward", "update"}));
  EXPECT_TRUE(kinds.contains("conv2d") && kinds.contains("adam_ema"));
}

TEST_F(TrainTest, ProfilesDoNotChangeTheTraining) {
  ASSERT_EQ(run_program("ddpm_train", training("plain", {"--steps", "4"})).exit_code, 0);
  for (const char* form : {"--profile", "--profile=eager"}) {
    ASSERT_EQ(run_program("ddpm_train", training(form, {"--steps", "4", form})).exit_code, 0);
    expect_same_checkpoint(path("plain"), path(form), 4);
  }
}

TEST_F(TrainTest, SummaryHasSpeedAndStartUpTime) {
  const auto summary = [&] { return nlohmann::json::parse(read_file(path("run") + "/summary.json")); };
  const ProgramResult first = run_program("ddpm_train", training("run", {"--steps", "6"}));
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.err, AllOf(HasSubstr("images/s"), HasSubstr("start-up")));
  EXPECT_EQ(summary().at("device"), "cpu");
  EXPECT_EQ(summary().at("precision"), "fp32");
  EXPECT_EQ(summary().at("step"), 6);
  EXPECT_EQ(summary().at("steps"), 6);
  EXPECT_GT(summary().at("images_per_second"), 0);
  EXPECT_GT(summary().at("startup_seconds"), 0);
  EXPECT_GE(summary().at("seconds"), 0);
  EXPECT_GT(summary().at("recent_loss"), 0);
  EXPECT_EQ(summary().at("interrupted"), false);
  EXPECT_FALSE(summary().contains("peak_device_bytes")) << "there is no GPU";

  ASSERT_EQ(run_program("ddpm_train", {"--out", path("run"), "--resume", "--steps", "7"}).exit_code, 0);
  EXPECT_EQ(summary().at("step"), 7);
  EXPECT_EQ(summary().at("steps"), 1) << "of the last run of the program";
  EXPECT_GT(summary().at("images_per_second"), 0) << "of the only step";
  ASSERT_EQ(run_program("ddpm_train", {"--out", path("run"), "--resume", "--steps", "7"}).exit_code, 0);
  EXPECT_EQ(summary().at("steps"), 0);
  EXPECT_FALSE(summary().contains("images_per_second"));
}

struct BadInput {
  const char* what;
  std::vector<std::string> arguments;  // after those of a good run; "@" is the test's folder
  const char* says;
};

class BadTraining : public SmallRun, public ::testing::WithParamInterface<BadInput> {};

TEST_P(BadTraining, IsOneSentenceAndExitCodeTwo) {
  write_file_atomically(path("unknown.toml"), "[run]\nstepps = 5\n");
  write_file_atomically(path("broken.toml"), "[run\n");
  write_file_atomically(path("not.npy"), "hello");
  write_file_atomically(path("short.npy"), read_file(data()).substr(0, 500));
  write_file_atomically(path("plain.npy"), read_file(data()));  // no labels, no card
  std::vector<std::string> arguments = training("run", {"--steps", "1"});
  for (std::string word : GetParam().arguments) {
    if (word.starts_with("@")) word = path(word.substr(1));
    arguments.push_back(word);
  }
  const ProgramResult result = run_program("ddpm_train", arguments);
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_THAT(result.err, AllOf(::testing::StartsWith("ddpm_train: "), HasSubstr(GetParam().says)));
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  EXPECT_FALSE(std::filesystem::exists(path("run") + "/checkpoints"));
}

INSTANTIATE_TEST_SUITE_P(
    All, BadTraining,
    ::testing::Values(
        BadInput{"preset", {"--preset", "no-such"}, "choose one of ddpm-cifar10-32"},
        BadInput{"steps", {"--steps", "-5"}, "steps: expected at least 0, got -5"},
        BadInput{"number", {"--learning-rate", "fast"}, "learning_rate: expected a number, got 'fast'"},
        BadInput{"flag", {"--no-such-flag"}, "--no-such-flag"},
        BadInput{"profile", {"--profile=fast"}, "choose one of graph, eager"},
        BadInput{"profile_json", {"--profile-json", "/proc/no/such.json"}, "/proc/no/such.json"},
        BadInput{"config_key", {"--config", "@unknown.toml"}, "unknown.toml:2: there is no option 'stepps'"},
        BadInput{"config_syntax", {"--config", "@broken.toml"}, "broken.toml:1"},
        BadInput{"config_missing", {"--config", "@none.toml"}, "none.toml"},
        BadInput{"data_missing", {"--data", "@none.npy"}, "none.npy"},
        BadInput{"data_no_npy", {"--data", "@not.npy"}, "not.npy"},
        BadInput{"data_truncated", {"--data", "@short.npy"}, "short.npy"},
        BadInput{"batch_larger_than_data", {"--batch", "41"}, "fewer than one batch of 41"},
        BadInput{"image_size", {"--image-size", "16"}, "8x8"},
        BadInput{"groups", {"--norm-num-groups", "3"}, "norm_num_groups"},
        BadInput{"attention", {"--attention", "true"}, "attention"},
        BadInput{"out_unwritable", {"--out", "/proc/no/such"}, "/proc/no"},
        BadInput{"labels_missing",
                 {"--data", "@plain.npy", "--condition", "attributes"},
                 "plain.npy has no labels"},
        BadInput{"labels_of_another_kind", {"--condition", "classes"}, "labels of the kind attributes"},
        BadInput{"sample_condition",
                 {"--condition", "attributes", "--sample-condition", "Smilling=1"},
                 "there is no attribute 'Smilling': choose among Bald, Bangs"},
        BadInput{"guidance_without_dropout",
                 {"--condition", "attributes", "--condition-dropout", "0", "--sample-guidance", "2"},
                 "condition_dropout = 0"},
        BadInput{"device", {"--device", "tpu"}, "device"},
        BadInput{"plan_choice", {"--plan-choice", "best"}, "choose one of measured, first"},
        BadInput{"plan_check", {"--plan-check", "maybe"}, "choose one of refuse, warn, off"},
        BadInput{"upsample", {"--upsample", "bilinear"}, "choose one of auto, folded, nearest"},
        BadInput{"workspace", {"--workspace-mb", "-1"}, "workspace_mb: expected at least 0, got -1"},
        BadInput{"plan_cache", {"--plan-cache", ""}, "plan_cache: expected a file"}),
    [](const auto& tested) { return std::string(tested.param.what); });

void PrintTo(const BadInput& input, std::ostream* stream) { *stream << input.what; }

TEST_F(TrainTest, CudaWithoutAGpuIsAClearErrorAndAutoFallsBack) {
  const ProgramResult cuda = run_program("ddpm_train", training("run", {"--steps", "1", "--device", "cuda"}));
  if (cuda.exit_code == 0) GTEST_SKIP() << "there is a GPU";
  EXPECT_EQ(cuda.exit_code, 2);
  EXPECT_THAT(cuda.err, HasSubstr("--device"));
  const ProgramResult bf16 =
      run_program("ddpm_train", training("run", {"--steps", "1", "--precision", "bf16"}));
  EXPECT_EQ(bf16.exit_code, 2) << "on the CPU";
  EXPECT_THAT(bf16.err, HasSubstr("precision bf16"));
  const ProgramResult automatic =
      run_program("ddpm_train", training("run", {"--steps", "1", "--device", "auto"}));
  EXPECT_EQ(automatic.exit_code, 0);
  EXPECT_THAT(automatic.err, HasSubstr("on cpu, fp32 (no GPU is used: "));
}

TEST_F(TrainTest, ANewRunRefusesTheFolderOfAnOldOne) {
  ASSERT_EQ(run_program("ddpm_train", training("run", {"--steps", "1"})).exit_code, 0);
  const ProgramResult again = run_program("ddpm_train", training("run", {"--steps", "1"}));
  EXPECT_EQ(again.exit_code, 2);
  EXPECT_THAT(again.err, HasSubstr("--resume"));
}

TEST_F(TrainTest, ResumeRefusesOtherDataAndOtherNetworks) {
  ASSERT_EQ(run_program("ddpm_train", training("run", {"--steps", "2"})).exit_code, 0);
  const std::string other = path("other.npy");
  ASSERT_EQ(run_program("ddpm_data",
                        {"synthetic-faces", "--count", "40", "--size", "8", "--seed", "5", "--out", other})
                .exit_code,
            0);
  const ProgramResult data =
      run_program("ddpm_train", {"--out", path("run"), "--resume", "--data", other, "--steps", "4"});
  EXPECT_EQ(data.exit_code, 2);
  EXPECT_THAT(data.err, HasSubstr("other data"));
  const ProgramResult network = run_program(
      "ddpm_train", {"--out", path("run"), "--resume", "--block-out-channels", "8,8", "--steps", "4"});
  EXPECT_EQ(network.exit_code, 2);
  // All that differ are named, not the first alone.
  EXPECT_THAT(network.err, AllOf(HasSubstr("misshapen"), HasSubstr("mid_block.resnets.0.conv1.weight"),
                                 HasSubstr("down_blocks.1.resnets.0.conv1.weight")));
}

TEST_F(TrainTest, ResumeRefusesDamagedCheckpoints) {
  ASSERT_EQ(run_program("ddpm_train", training("run", {"--steps", "2"})).exit_code, 0);
  const std::string folder = checkpoint_folder(path("run"), 2);
  const std::string model = read_file(folder + "/model.safetensors"),
                    state = read_file(folder + "/state.json");
  const auto resume = [&] {
    return run_program("ddpm_train", {"--out", path("run"), "--resume", "--steps", "4"});
  };

  write_file_atomically(folder + "/model.safetensors", model.substr(0, model.size() / 2));
  EXPECT_EQ(resume().exit_code, 2);
  EXPECT_THAT(resume().err, HasSubstr("model.safetensors"));

  std::string lies = model;
  lies[6] = '\x7f';  // the header's length, in little-endian, becomes absurd
  write_file_atomically(folder + "/model.safetensors", lies);
  EXPECT_EQ(resume().exit_code, 2);

  write_file_atomically(folder + "/model.safetensors", model);
  write_file_atomically(folder + "/state.json", state.substr(0, state.size() / 2));
  EXPECT_EQ(resume().exit_code, 2);
  EXPECT_THAT(resume().err, HasSubstr("state.json"));
}

TEST_F(TrainTest, FullDiskIsReportedAndKeepsOlderCheckpoints) {
  ASSERT_EQ(run_program("ddpm_train", training("run", {"--steps", "2"})).exit_code, 0);
  const std::string before = read_file(checkpoint_folder(path("run"), 2) + "/model.safetensors");
  // Enough for the small files, not for the weights.
  const ProgramResult full =
      run_program("ddpm_train", {"--out", path("run"), "--resume", "--steps", "4"}, {.file_bytes = 16384});
  EXPECT_EQ(full.exit_code, 2);
  EXPECT_THAT(full.err, AllOf(HasSubstr("model.safetensors"), HasSubstr("space")));
  EXPECT_TRUE(read_file(checkpoint_folder(path("run"), 2) + "/model.safetensors") == before);
  EXPECT_EQ(read_file(path("run") + "/checkpoints/latest"), "step-00000002\n");
  // Nothing half-written is left, and with space again the run goes on.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(path("run") + "/checkpoints"), {}), 2);
  EXPECT_EQ(run_program("ddpm_train", {"--out", path("run"), "--resume", "--steps", "4"}).exit_code, 0);
}

}  // namespace
}  // namespace ddpm
