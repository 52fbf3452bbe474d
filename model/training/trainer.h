// Training, step by step: owns the program, the executor and the data's place in it. What a run looks like
// on disk is model/training/checkpoint.h, what it prints is the app's business. Resuming:
// apps/ddpm_train.cpp finds the checkpoint, restore() loads it, model/training/run_folder.h cuts the
// metrics back.
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

// A mean that more values can join.
struct RunningMean {
  double sum = 0;
  int64_t count = 0;

  void add(double value) { sum += value, ++count; }
  void join(const RunningMean& other) { sum += other.sum, count += other.count; }
  double mean() const { return count > 0 ? sum / static_cast<double>(count) : 0; }
};

// What a stretch of steps was like.
struct TrainingMetrics {
  RunningMean loss;
  std::array<RunningMean, 4> loss_by_quarter;  // of t: [0, T/4), [T/4, T/2), ...
  RunningMean gradient_norm;
  double learning_rate = 0;  // of the last step

  bool finite() const;
  // Makes these the metrics of both stretches; `later` comes after this one.
  void join(const TrainingMetrics& later);
};

class Trainer {
 public:
  // A data set that does not fit the network or the batch is an InputError. `dataset` must outlive the
  // trainer. Programs run on what `make_executor` makes, the images are where `placement` says, which is not
  // kAuto: the configuration's device and placement are the app's to choose by.
  Trainer(const TrainConfig& config, const Dataset& dataset,
          ExecutorFactory make_executor = make_cpu_executor,
          DataPlacement placement = DataPlacement::kResident);

  int64_t step() const { return step_; }                 // optimiser steps done
  const TrainConfig& config() const { return config_; }  // with the names of the data set's labels
  const Executor& executor() const { return *executor_; }

  // Weights of the seed, step 0.
  void initialise();
  // Given weights, an arena of the program, and their average equal to them; step 0, no moments.
  void initialise(std::span<const float> weights);
  // InputError where the checkpoint's network, data set or labels are others.
  void restore(const std::filesystem::path& checkpoint);
  void save(const std::filesystem::path& run) const;

  // One optimiser step. What it was like joins `metrics`: at once on the CPU, and on a GPU some steps later,
  // so that nothing waits for it; but none is missing after a step at which something is logged, saved or
  // sampled.
  void train_step(TrainingMetrics& metrics);
  // What the steps up to now were like, as far as it is missing, joins `metrics`; waits for them.
  void catch_up(TrainingMetrics& metrics);

  // Images 0 .. sample_count - 1 drawn with the averaged weights as they are now. Empty where `goes_on` said
  // no.
  std::vector<Image> sample(const std::function<bool()>& goes_on = {});

  // Switches the executor's clock on: see Executor::operation_times.
  void measure_operations(MeasuredForm form) { executor_->measure_operations(form); }

 private:
  // Training goes on after `step` optimiser steps.
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
  TrainingProgram buffers_;  // the program itself is the executor's
  std::unique_ptr<Executor> executor_;
  std::unique_ptr<Sampler> sampler_;  // made at the first call of sample()
  int64_t step_ = 0;                  // what the executor's counter holds once its work is done
};

}  // namespace ddpm
