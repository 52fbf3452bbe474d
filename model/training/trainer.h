// Trains step by step: owns the program, its executor and where the data is kept. Files are written by
// model/training/checkpoint.h and run_folder.h, output by the app. To resume, apps/ddpm_train.cpp opens the
// checkpoint, restore() loads it, and RunFolder::resume() truncates the metrics.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "model/sampling/sampler.h"
#include "model/training/checkpoint.h"
#include "model/training/train_config.h"
#include "model/training/training_program.h"
#include "runtime/cpu/cpu_executor.h"

namespace ddpm {

// A mean of values added one by one.
struct RunningMean {
  double sum = 0;
  int64_t count = 0;

  void add(double value) { sum += value, ++count; }
  void join(const RunningMean& other) { sum += other.sum, count += other.count; }
  double mean() const { return count > 0 ? sum / static_cast<double>(count) : 0; }
};

// Metrics of consecutive steps.
struct TrainingMetrics {
  RunningMean loss;
  std::array<RunningMean, 4> loss_by_quarter;  // of t: [0, T/4), [T/4, T/2), ...
  RunningMean gradient_norm;
  double learning_rate = 0;  // of the last step

  bool finite() const;
  // Adds the metrics of the steps that follow.
  void join(const TrainingMetrics& later);
};

class Trainer {
 public:
  // InputError if the data set does not fit the network or the batch. `dataset` must outlive the trainer. The
  // app chooses the executor and the placement, not kAuto, by the configuration's device and placement.
  Trainer(const TrainConfig& config, const Dataset& dataset,
          ExecutorFactory make_executor = make_cpu_executor,
          DataPlacement placement = DataPlacement::kResident);

  int64_t step() const { return step_; }                 // optimizer steps done
  const TrainConfig& config() const { return config_; }  // with the names of the data set's labels
  const Executor& executor() const { return *executor_; }

  // Initial weights from the seed; step 0.
  void initialize();
  // Given weights, an arena of the program, as weights and average; step 0, moments of zero.
  void initialize(std::span<const float> weights);
  // InputError if the checkpoint belongs to another network, data set or labels.
  void restore(const Checkpoint& checkpoint);
  void save(const std::filesystem::path& run) const;

  // One optimizer step. Its metrics are added to `metrics`, at once on the CPU. A GPU's are added some steps
  // later, so that nothing waits for them; after a step that is logged, saved or sampled they are complete.
  void train_step(TrainingMetrics& metrics);
  // Waits for the steps done so far and adds their missing metrics to `metrics`.
  void catch_up(TrainingMetrics& metrics);

  // Images 0 .. sample_count - 1, drawn with the current averaged weights. Empty if `goes_on` returned false.
  std::vector<Image> sample(const std::function<bool()>& goes_on = {});

  // Times the operations: see Executor::operation_times.
  void measure_operations(MeasuredForm form) { executor_->measure_operations(form); }

 private:
  // `config` has the data set's labels.
  Trainer(const TrainConfig& config, const Dataset& dataset, ExecutorFactory make_executor,
          DataPlacement placement, TrainingProgram made);

  // Continues after `step` optimizer steps.
  void start_at(int64_t step);
  void stream_images(int64_t first_step);
  bool is_reported(int64_t step) const;
  std::string labels_hash() const;  // empty without a condition
  void join_records(size_t pending, TrainingMetrics& metrics);

  TrainConfig config_;
  const Dataset& dataset_;
  ExecutorFactory make_executor_;
  DataPlacement placement_;
  Conditioning grid_conditioning_;
  TrainingBuffers buffers_;
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Sampler> sampler_;  // made at the first call of sample()
  int64_t step_ = 0;                  // the executor's counter after the steps under way
};

}  // namespace ddpm
