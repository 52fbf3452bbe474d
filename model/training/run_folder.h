// What a training run writes besides its checkpoints:
//
//   RUN/config.toml            every option at the start of the run
//   RUN/metrics.jsonl          a line every log_every steps
//   RUN/samples/step-*.png     grids drawn with the averaged weights
//   RUN/loss.svg               the loss curve
//   RUN/summary.json           what the last start of the program did, and how fast
//   RUN/events.out.tfevents.*  metrics and grids for TensorBoard, a file per start of the program
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/image.h"
#include "model/training/tensorboard.h"
#include "model/training/train_config.h"
#include "model/training/trainer.h"

namespace ddpm {

enum class EventFiles : uint8_t { kNone, kTensorBoard };

struct RunSpeed {
  double images_per_second = 0;
  int64_t peak_device_bytes = 0;  // of the GPU's memory, since the program started; 0: no GPU
};

// Of one start of the program; a resumed run has several.
struct RunSummary {
  std::string device, precision;
  int batch = 0;
  int64_t step = 0;            // that the run has reached
  int64_t steps = 0;           // done by this start
  double seconds = 0;          // for these steps, including samples and checkpoints
  double startup_seconds = 0;  // from the process's start to the end of the first step
  bool interrupted = false;
  double recent_loss = 0;  // mean over the last steps
  // After the first step, without the time for samples and checkpoints.
  RunSpeed speed;
};

class RunFolder {
 public:
  explicit RunFolder(std::filesystem::path path, EventFiles event_files = EventFiles::kNone)
      : path_(std::move(path)), event_files_(event_files) {}

  const std::filesystem::path& path() const { return path_; }

  // A new run: writes config.toml and an empty metrics.jsonl. InputError if the folder holds checkpoints,
  // which belong to another run.
  void begin(const TrainConfig& config);
  // Continues after `step`: drops later lines of metrics.jsonl, since those steps are repeated.
  void resume(int64_t step);

  void add_metrics(int64_t step, const TrainingMetrics& metrics, const RunSpeed& speed);
  // Returns the grid's path.
  std::filesystem::path add_samples(int64_t step, const std::vector<Image>& images);
  void write_summary(const RunSummary& summary) const;
  // From metrics.jsonl. Returns the path; empty if there are fewer than two lines.
  std::filesystem::path write_loss_curve() const;

 private:
  void open_logs(int64_t step);
  std::filesystem::path path_;
  EventFiles event_files_;
  std::ofstream metrics_;
  std::optional<TensorBoardWriter> events_;
};

}  // namespace ddpm
