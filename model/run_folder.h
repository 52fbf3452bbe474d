// What a training run leaves behind besides its checkpoints: the configuration, the metrics, sample grids and
// the loss curve. Depends on model/trainer.h, support/line_chart.h, data/grid.h.
//
//   RUN/config.toml        every option as the run began
//   RUN/metrics.jsonl      a line every log_every steps
//   RUN/samples/step-*.png grids drawn with the averaged weights
//   RUN/loss.svg           the loss curve
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <vector>

#include "data/image.h"
#include "model/train_config.h"
#include "model/trainer.h"

namespace ddpm {

class RunFolder {
 public:
  explicit RunFolder(std::filesystem::path path) : path_(std::move(path)) {}

  const std::filesystem::path& path() const { return path_; }

  // A new run: writes config.toml and an empty metrics.jsonl. A folder that holds checkpoints is an
  // InputError: it is another run's.
  void begin(const TrainConfig& config);
  // Goes on after `step`: later lines of metrics.jsonl are dropped, since those steps are done again.
  void resume(int64_t step);

  void add_metrics(int64_t step, const TrainingMetrics& metrics, double images_per_second);
  // Returns where the grid went.
  std::filesystem::path add_samples(int64_t step, const std::vector<Image>& images) const;
  // From metrics.jsonl; nothing where it has fewer than two lines. Returns where it went.
  std::filesystem::path write_loss_curve() const;

 private:
  void open_metrics();
  std::filesystem::path path_;
  std::ofstream metrics_;
};

}  // namespace ddpm
