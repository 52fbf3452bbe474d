// Checkpoints: exact continuation, which ones stay, and everything that can be wrong with one on disk.
#include "model/training/checkpoint.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "model/training/trainer.h"
#include "model/weights/parameters.h"
#include "model/weights/safetensors.h"
#include "support/atomic_file.h"
#include "tests/model/expect_input_error.h"
#include "tests/model/training/small_training.h"
#include "tests/temporary_folder.h"

namespace ddpm {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kTensorFiles[] = {"model.safetensors", "ema.safetensors", "optimizer.safetensors"};

class Checkpoint : public ::testing::Test {
 protected:
  // A trainer on the small data set, `steps` after its start.
  Trainer trained(int steps, const TrainConfig& config = small_config()) {
    Trainer trainer(config, dataset);
    trainer.initialize();
    advance(trainer, steps);
    return trainer;
  }
  static void advance(Trainer& trainer, int steps) {
    TrainingMetrics metrics;
    for (int i = 0; i < steps; ++i) trainer.train_step(metrics);
  }
  std::set<std::string> checkpoints() const {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(run / "checkpoints"))
      names.insert(entry.path().filename().string());
    return names;
  }
  fs::path at(int step) const { return run / "checkpoints" / fmt::format("step-{:08}", step); }
  static void truncate(const fs::path& file) { fs::resize_file(file, fs::file_size(file) / 2); }

  TemporaryFolder folder;
  const fs::path run = folder.path() / "run";
  const Dataset dataset = small_dataset();
};

TEST_F(Checkpoint, ResumedRunMatchesStraightRunByBytes) {
  Trainer straight = trained(20);
  straight.save(folder.path() / "straight");
  trained(10).save(run);
  Trainer resumed(small_config(), dataset);
  resumed.restore(open_checkpoint(run));
  EXPECT_EQ(resumed.step(), 10);
  advance(resumed, 10);
  resumed.save(run);
  for (const char* file : kTensorFiles)
    EXPECT_TRUE(read_file(at(20) / file) ==
                read_file(folder.path() / "straight/checkpoints/step-00000020" / file))
        << file;
}

TEST_F(Checkpoint, SavingARestoredStateRepeatsItsBytes) {
  trained(3).save(run);
  Trainer restored(small_config(), dataset);
  restored.restore(open_checkpoint(at(3)));
  restored.save(folder.path() / "again");
  for (const char* file : {"model.safetensors", "ema.safetensors", "optimizer.safetensors", "state.json"})
    EXPECT_TRUE(read_file(at(3) / file) ==
                read_file(folder.path() / "again/checkpoints/step-00000003" / file))
        << file;
}

TEST_F(Checkpoint, FilesUseDiffusersNamesAndPytorchOrder) {
  const Trainer trainer = trained(2);
  trainer.save(run);
  const Program& program = trainer.executor().program();
  std::vector<float> arena(size_t(program.parameter_elements()));
  trainer.executor().read_parameters(arena);
  const SafetensorsFile model(at(2) / "model.safetensors"), optimizer(at(2) / "optimizer.safetensors");
  size_t tensors = 0;
  for_each_tensor(program, [&](const NamedTensor& tensor, int64_t) {
    ++tensors;
    EXPECT_EQ(model.tensor(tensor.name).shape, tensor.shape);
    EXPECT_EQ(optimizer.tensor("m." + tensor.name).shape, tensor.shape);
    EXPECT_EQ(optimizer.tensor("v." + tensor.name).shape, tensor.shape);
  });
  EXPECT_EQ(model.tensors().size(), tensors);
  EXPECT_EQ(optimizer.tensors().size(), 2 * tensors);
  // conv_in is (8, 3, 3, 3) there and (8, 3, 3, 3) here, channels last: k = 1, c = 2, r = 0, s = 1.
  const int64_t offset = program.buffer(program.find("conv_in.weight")).arena_offset;
  EXPECT_EQ(model.values<float>("conv_in.weight")[((1 * 3 + 2) * 3 + 0) * 3 + 1],
            arena[size_t(offset + ((1 * 3 + 0) * 3 + 1) * 3 + 2)]);
}

TEST_F(Checkpoint, StoresAverageAndRawWeights) {
  const Trainer trainer = trained(4);
  trainer.save(run);
  const Program& program = trainer.executor().program();
  std::vector<float> arena(size_t(program.parameter_elements()));
  trainer.executor().read_parameters(arena);
  EXPECT_EQ(read_weights(at(4), WeightSource::kRaw, program), arena);
  EXPECT_EQ(read_weights(at(4), WeightSource::kEma, program), trainer.executor().read(program.find("ema")));
  EXPECT_NE(read_weights(at(4), WeightSource::kEma, program), arena);
}

TEST_F(Checkpoint, StateHoldsStepDataAndEveryOption) {
  TrainConfig config = small_config();
  config.optimizer.learning_rate = 1.25e-3;
  trained(2, config).save(run);
  const CheckpointState state = read_checkpoint_state(at(2));
  EXPECT_EQ(state.step, 2);
  EXPECT_EQ(state.dataset_count, 12);
  EXPECT_EQ(state.dataset_hash, dataset.hash());
  EXPECT_EQ(to_toml(make_train_config(state.settings)), to_toml(config));
}

TEST_F(Checkpoint, KeepsTheLastOnesAndLatestNamesTheNewest) {
  Trainer trainer = trained(1);
  for (int step = 1; step <= 4; ++step, advance(trainer, 1)) trainer.save(run);
  EXPECT_EQ(checkpoints(), (std::set<std::string>{"latest", "step-00000003", "step-00000004"}));
  EXPECT_EQ(find_checkpoint(run), at(4));
  EXPECT_EQ(find_checkpoint(at(3)), at(3)) << "a checkpoint means itself";
}

TEST_F(Checkpoint, SavingTheSameStepAgainReplacesIt) {
  const Trainer trainer = trained(1);
  trainer.save(run);
  trainer.save(run);
  EXPECT_EQ(checkpoints(), (std::set<std::string>{"latest", "step-00000001"}));
  EXPECT_EQ(find_checkpoint(run), at(1));
}

TEST_F(Checkpoint, RewindingKeepsTheLastWritten) {
  Trainer trainer = trained(3);
  trainer.save(run);
  advance(trainer, 2);
  trainer.save(run);
  trained(1).save(run);  // resumed from an earlier step
  EXPECT_EQ(find_checkpoint(run), at(1));
  EXPECT_TRUE(fs::exists(at(1)));
}

TEST_F(Checkpoint, RemovesRemainsOfAKilledRun) {
  fs::create_directories(at(1).string() + ".partial");
  write_file_atomically(at(1).string() + ".partial/model.safetensors", "half");
  trained(1).save(run);
  EXPECT_EQ(checkpoints(), (std::set<std::string>{"latest", "step-00000001"}));
}

// ---- what can be wrong ----

TEST_F(Checkpoint, RefusesFolderWithoutCheckpoint) {
  expect_input_error([&] { find_checkpoint(run); },
                     AllOf(HasSubstr(run.string()), HasSubstr("no checkpoint")));
  fs::create_directories(run / "checkpoints");
  expect_input_error([&] { find_checkpoint(run); }, HasSubstr("no checkpoint"));
}

TEST_F(Checkpoint, RefusesLatestOfAMissingCheckpoint) {
  trained(1).save(run);
  fs::remove_all(at(1));
  expect_input_error([&] { find_checkpoint(run); }, AllOf(HasSubstr("latest"), HasSubstr("step-00000001")));
}

TEST_F(Checkpoint, RefusesEmptyLatest) {
  trained(1).save(run);
  write_file_atomically(run / "checkpoints/latest", "");
  expect_input_error([&] { find_checkpoint(run); }, HasSubstr("latest"));
}

TEST_F(Checkpoint, RefusesEachTruncatedFileByName) {
  const Trainer trainer = trained(1);
  for (const char* file : kTensorFiles) {
    trainer.save(run);
    truncate(at(1) / file);
    Trainer restored(small_config(), dataset);
    expect_input_error([&] { restored.restore(open_checkpoint(at(1))); },
                       AllOf(HasSubstr(file), HasSubstr("cut off")));
  }
}

TEST_F(Checkpoint, RefusesMissingFileByName) {
  const Trainer trainer = trained(1);
  for (const char* file : kTensorFiles) {
    trainer.save(run);
    fs::remove(at(1) / file);
    Trainer restored(small_config(), dataset);
    expect_input_error([&] { restored.restore(open_checkpoint(at(1))); }, HasSubstr(file));
  }
  fs::remove(at(1) / "state.json");
  expect_input_error([&] { read_checkpoint_state(at(1)); }, HasSubstr("state.json"));
}

TEST_F(Checkpoint, RefusesDamagedState) {
  trained(1).save(run);
  const nlohmann::json good = nlohmann::json::parse(read_file(at(1) / "state.json"));
  const auto with = [&](const char* key, const nlohmann::json& value) {
    nlohmann::json changed = good;
    changed[key] = value;
    return changed.dump();
  };
  for (const std::string& text :
       {std::string("{\"step\": 1"), std::string(), std::string("[]"), std::string("null"), with("step", -1),
        with("step", "one"), with("step", 1.5), with("dataset_hash", 5), with("config", nullptr),
        with("config", {1, 2}), with("config", {{"batch", 4}})}) {
    write_file_atomically(at(1) / "state.json", text);
    SCOPED_TRACE(text);
    expect_input_error([&] { read_checkpoint_state(at(1)); },
                       AllOf(HasSubstr("state.json"), HasSubstr("damaged")));
  }
  nlohmann::json without = good;
  without.erase("dataset_count");
  write_file_atomically(at(1) / "state.json", without.dump());
  expect_input_error([&] { read_checkpoint_state(at(1)); }, HasSubstr("dataset_count"));
}

TEST_F(Checkpoint, RefusesOtherFormatVersion) {
  trained(1).save(run);
  nlohmann::json state = nlohmann::json::parse(read_file(at(1) / "state.json"));
  state["format_version"] = 99;
  write_file_atomically(at(1) / "state.json", state.dump());
  expect_input_error([&] { read_checkpoint_state(at(1)); }, HasSubstr("version 99"));
}

TEST_F(Checkpoint, RefusesAnotherNetworkListingAllDifferences) {
  trained(1).save(run);
  TrainConfig other = small_config();
  other.network.block_out_channels = {8, 8};  // misshapen tensors, and no shortcut where the channels stay
  other.network.layers_per_block = 2;         // more tensors
  other.network.mid_attention = false;        // fewer
  Trainer trainer(other, dataset);
  expect_input_error(
      [&] { trainer.restore(open_checkpoint(at(1))); },
      AllOf(HasSubstr("model.safetensors"), HasSubstr("missing"), HasSubstr("unknown"),
            HasSubstr("misshapen"), HasSubstr("down_blocks.0.resnets.1.conv1.weight"),
            HasSubstr("mid_block.attentions.0.to_q.weight"),
            HasSubstr("down_blocks.1.resnets.0.conv_shortcut.weight"),
            HasSubstr("mid_block.resnets.0.conv1.weight is [16, 16, 3, 3] instead of [8, 8, 3, 3]")));
}

TEST_F(Checkpoint, RefusesAnotherDataSet) {
  trained(1).save(run);
  const Dataset other = small_dataset(12, 2);
  Trainer trainer(small_config(), other);
  expect_input_error([&] { trainer.restore(open_checkpoint(at(1))); },
                     AllOf(HasSubstr("other data"), HasSubstr(other.hash())));
}

TEST_F(Checkpoint, FailedSaveLeavesNothing) {
  const Trainer trainer = trained(1);
  fs::create_directories(run);
  write_file_atomically(run / "checkpoints", "in the way");
  expect_input_error([&] { trainer.save(run); }, HasSubstr("checkpoints"));
  EXPECT_EQ(read_file(run / "checkpoints"), "in the way");

  // `latest` cannot be replaced: the checkpoint is whole, and the error names the file.
  fs::remove(run / "checkpoints");
  fs::create_directories(run / "checkpoints/latest/in the way");
  expect_input_error([&] { trainer.save(run); }, HasSubstr("latest"));
  const auto left = checkpoints();
  EXPECT_FALSE(left.empty());
  for (const std::string& name : left) EXPECT_FALSE(name.ends_with(".partial")) << name;
}

// No file may grow beyond a few bytes: what a full disk is like, for the superuser too.
class TinyDisk {
 public:
  TinyDisk() : old_handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &old_limit_);
    const rlimit tiny{.rlim_cur = 2048, .rlim_max = old_limit_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &tiny);
  }
  ~TinyDisk() {
    ::setrlimit(RLIMIT_FSIZE, &old_limit_);
    std::signal(SIGXFSZ, old_handler_);
  }
  TinyDisk(const TinyDisk&) = delete;
  TinyDisk& operator=(const TinyDisk&) = delete;

 private:
  void (*old_handler_)(int);
  rlimit old_limit_{};
};

TEST_F(Checkpoint, FullDiskKeepsThePreviousCheckpoint) {
  Trainer trainer = trained(1);
  trainer.save(run);
  advance(trainer, 1);
  {
    const TinyDisk tiny;
    expect_input_error([&] { trainer.save(run); }, HasSubstr("model.safetensors"));
  }
  EXPECT_EQ(checkpoints(), (std::set<std::string>{"latest", "step-00000001"}));
  EXPECT_EQ(find_checkpoint(run), at(1));
}

}  // namespace
}  // namespace ddpm
