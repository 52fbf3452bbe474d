// What a training run leaves behind besides its checkpoints: the configuration, the metrics, sample grids
// and the loss curve.
//
//   RUN/config.toml        every option as the run began
//   RUN/metrics.jsonl      a line every log_every steps
//   RUN/samples/step-*.png grids drawn with the averaged weights
//   RUN/loss.svg           the loss curve
//   RUN/summary.json       what the last run of the program did, and how fast
//   RUN/events.out.tfevents.* metrics and grids as TensorBoard reads them, a file each time the run starts or
//   goes on
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
  int64_t peak_device_bytes = 0;  // of the GPU's memory, since the program began; 0: no GPU
};

// Of one run of the program; a run that is resumed has several.
struct RunSummary {
  std::string device, precision;
  int batch = 0;
  int64_t step = 0;            // that the run is at
  int64_t steps = 0;           // done now
  double seconds = 0;          // that they took, with all that is written between them
  double startup_seconds = 0;  // from the process's start to the end of the first step
  bool interrupted = false;
  double recent_loss = 0;  // mean over the last steps
  // Of the steps behind the first, without the time for samples and checkpoints.
  RunSpeed speed;
};

class RunFolder {
 public:
  explicit RunFolder(std::filesystem::path path, EventFiles event_files = EventFiles::kNone)
      : path_(std::move(path)), event_files_(event_files) {}

  const std::filesystem::path& path() const { return path_; }

  // A new run: writes config.toml and an empty metrics.jsonl. A folder that holds checkpoints is an
  // InputError: it is another run's.
  void begin(const TrainConfig& config);
  // Goes on after `step`: later lines of metrics.jsonl are dropped, since those steps are done again.
  void resume(int64_t step);

  void add_metrics(int64_t step, const TrainingMetrics& metrics, const RunSpeed& speed);
  // Returns where the grid went.
  std::filesystem::path add_samples(int64_t step, const std::vector<Image>& images);
  void write_summary(const RunSummary& summary) const;
  // From metrics.jsonl; nothing where it has fewer than two lines. Returns where it went.
  std::filesystem::path write_loss_curve() const;

 private:
  void open_logs(int64_t step);
  std::filesystem::path path_;
  EventFiles event_files_;
  std::ofstream metrics_;
  std::optional<TensorBoardWriter> events_;
};

}  // namespace ddpm
