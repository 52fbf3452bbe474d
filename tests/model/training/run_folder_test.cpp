// What a run leaves on disk beside its checkpoints, and how a resumed run goes on with it.
#include "model/training/run_folder.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "data/png.h"
#include "support/atomic_file.h"
#include "tests/model/expect_input_error.h"
#include "tests/model/training/small_training.h"
#include "tests/temporary_folder.h"

namespace ddpm {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

TrainingMetrics metrics_with_loss(double loss) {
  TrainingMetrics metrics;
  metrics.loss.add(loss);
  metrics.loss_by_quarter[1].add(loss);
  metrics.gradient_norm.add(2.5);
  metrics.learning_rate = 1e-3;
  return metrics;
}

class RunFolderTest : public ::testing::Test {
 protected:
  std::vector<nlohmann::json> lines() const {
    std::vector<nlohmann::json> all;
    std::istringstream text(read_file(path / "metrics.jsonl"));
    for (std::string line; std::getline(text, line);) all.push_back(nlohmann::json::parse(line));
    return all;
  }
  std::vector<int64_t> steps() const {
    std::vector<int64_t> all;
    for (const auto& line : lines()) all.push_back(line.at("step"));
    return all;
  }

  TemporaryFolder folder;
  const fs::path path = folder.path() / "runs" / "a";
};

TEST_F(RunFolderTest, NewRunHoldsItsConfigurationAndNoMetrics) {
  RunFolder run(path);
  run.begin(small_config());
  EXPECT_EQ(to_toml(make_train_config(read_settings(path / "config.toml"))), to_toml(small_config()));
  EXPECT_TRUE(lines().empty());
}

TEST_F(RunFolderTest, RefusesFolderOfAnotherRun) {
  RunFolder run(path);
  fs::create_directories(path / "checkpoints");
  write_file_atomically(path / "checkpoints/latest", "step-00000001\n");
  expect_input_error([&] { run.begin(small_config()); },
                     ::testing::AllOf(HasSubstr(path.string()), HasSubstr("--resume")));
}

TEST_F(RunFolderTest, RefusesUnwritableFolder) {
  write_file_atomically(folder.path() / "runs", "a file");
  RunFolder run(path);
  expect_input_error([&] { run.begin(small_config()); }, HasSubstr("runs"));
}

TEST_F(RunFolderTest, EachMetricsLineIsJson) {
  RunFolder run(path);
  run.begin(small_config());
  run.add_metrics(10, metrics_with_loss(0.5), {.images_per_second = 123.5});
  ASSERT_EQ(lines().size(), 1u) << "a line is on disk at once";
  const nlohmann::json line = lines()[0];
  EXPECT_EQ(line.at("step"), 10);
  EXPECT_EQ(line.at("loss"), 0.5);
  EXPECT_EQ(line.at("gradient_norm"), 2.5);
  EXPECT_EQ(line.at("learning_rate"), 1e-3);
  EXPECT_EQ(line.at("images_per_second"), 123.5);
  EXPECT_EQ(line.at("loss_by_quarter_of_t"), nlohmann::json::parse("[null, 0.5, null, null]"))
      << "null: no such t";
  EXPECT_FALSE(line.contains("peak_device_bytes")) << "no GPU";

  run.add_metrics(20, metrics_with_loss(0.5), {.images_per_second = 1, .peak_device_bytes = 5});
  EXPECT_EQ(lines()[1].at("peak_device_bytes"), 5);
}

TEST_F(RunFolderTest, SummaryDescribesTheLastStart) {
  RunFolder run(path);
  run.begin(small_config());
  RunSummary summary{.device = "cuda",
                     .precision = "bf16",
                     .batch = 128,
                     .step = 30,
                     .steps = 20,
                     .seconds = 2,
                     .startup_seconds = 3,
                     .interrupted = true,
                     .recent_loss = 0.25,
                     .speed = {.images_per_second = 1280, .peak_device_bytes = int64_t{1} << 33}};
  const auto written = [&] { return nlohmann::json::parse(read_file(path / "summary.json")); };
  run.write_summary(summary);
  EXPECT_EQ(written(), nlohmann::json::parse(R"({"device": "cuda", "precision": "bf16", "batch": 128,
      "step": 30, "steps": 20, "seconds": 2.0, "startup_seconds": 3.0, "interrupted": true,
      "recent_loss": 0.25, "images_per_second": 1280.0, "peak_device_bytes": 8589934592})"));
  summary.steps = 0;
  run.write_summary(summary);
  EXPECT_FALSE(written().contains("recent_loss") || written().contains("images_per_second"));
}

TEST_F(RunFolderTest, ResumeDropsRepeatedSteps) {
  {
    RunFolder run(path);
    run.begin(small_config());
    for (const int64_t step : {10, 20, 30})
      run.add_metrics(step, metrics_with_loss(1.0 / double(step)), {.images_per_second = 1});
  }
  RunFolder resumed(path);
  resumed.resume(20);
  resumed.add_metrics(30, metrics_with_loss(7), {.images_per_second = 1});
  EXPECT_EQ(steps(), (std::vector<int64_t>{10, 20, 30}));
  EXPECT_EQ(lines()[2].at("loss"), 7);
  EXPECT_EQ(lines()[1].at("loss"), 0.05) << "kept lines keep their values to the last bit";
}

TEST_F(RunFolderTest, ResumeSkipsInvalidLines) {
  fs::create_directories(path);
  write_file_atomically(path / "metrics.jsonl",
                        "{\"step\":10,\"loss\":0.5}\n"
                        "not JSON\n"
                        "{\"step\":\"eleven\",\"loss\":0.5}\n"
                        "{\"step\":20,\"loss\":null}\n"  // a loss that was not finite
                        "{\"step\":30,\"lo");
  RunFolder run(path);
  run.resume(100);
  EXPECT_EQ(steps(), (std::vector<int64_t>{10, 20}));
}

TEST_F(RunFolderTest, ResumeWithoutMetricsCreatesThem) {
  fs::create_directories(path);
  RunFolder run(path);
  run.resume(5);
  run.add_metrics(6, metrics_with_loss(1), {.images_per_second = 1});
  EXPECT_EQ(steps(), (std::vector<int64_t>{6}));
}

TEST_F(RunFolderTest, NonFiniteLossIsValidJson) {
  RunFolder run(path);
  run.begin(small_config());
  run.add_metrics(1, metrics_with_loss(NAN), {.images_per_second = 1});
  EXPECT_TRUE(lines().at(0).at("loss").is_null());
}

TEST_F(RunFolderTest, SamplesAreAPngNamedAfterTheStep) {
  RunFolder run(path);
  run.begin(small_config());
  const fs::path file = run.add_samples(70, std::vector<Image>(4, Image(8, 8, 3)));
  EXPECT_EQ(file, path / "samples" / "step-00000070.png");
  const Image grid = read_png(file);
  EXPECT_GE(grid.width, 16) << "two images side by side";
  EXPECT_GE(grid.height, 16);
}

TEST_F(RunFolderTest, LossCurveNeedsTwoPoints) {
  RunFolder run(path);
  run.begin(small_config());
  run.add_metrics(10, metrics_with_loss(0.5), {.images_per_second = 1});
  EXPECT_TRUE(run.write_loss_curve().empty());
  run.add_metrics(20, metrics_with_loss(0.25), {.images_per_second = 1});
  EXPECT_EQ(run.write_loss_curve(), path / "loss.svg");
  EXPECT_THAT(read_file(path / "loss.svg"), ::testing::AllOf(HasSubstr("<svg"), HasSubstr("loss")));
}

}  // namespace
}  // namespace ddpm
