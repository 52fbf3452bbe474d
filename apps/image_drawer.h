// Draws the images that ddpm_sample was asked for, a batch at a time, and keeps what else of them is
// wanted.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "apps/sampling_command.h"
#include "apps/sampling_pictures.h"
#include "model/sampling/sampler.h"
#include "support/progress_bar.h"

namespace ddpm {

class ImageDrawer {
 public:
  ImageDrawer(const SamplingCommand& command, const TrainConfig& config, std::span<const float> parameters,
              const ExecutorFactory& make_executor);

  // What only the drawing itself shows cannot come from images that exist already.
  bool must_draw() const { return command_.wants_process() || !command_.float_npy.empty(); }
  // Starts the progress bar and its clock.
  void expect(int64_t images);
  // Images first .. first + count - 1; count is at most the batch. Error where the user interrupts.
  std::vector<Image> draw(int64_t first, int count);
  // Ends the progress bar; the seconds since it started.
  double finish();

  int batch() const { return batch_; }
  int steps() const { return sampler_.steps(); }
  const SamplingPictures& pictures() const { return pictures_; }
  const std::vector<float>& values() const { return values_; }  // (N,H,W,C) of all images, for --float-npy

 private:
  const SamplingCommand& command_;
  UnetConfig network_;
  int batch_;
  Sampler sampler_;
  SamplingPictures pictures_;
  std::vector<float> initial_noise_;  // (count,H,W,C); empty: the seed's
  std::vector<float> values_;
  int64_t drawn_ = 0;
  std::optional<ProgressBar> bar_;
};

}  // namespace ddpm
