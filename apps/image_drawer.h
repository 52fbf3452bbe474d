// The images of a ddpm_sample command, one after the other. Those that a stopped run left in --png-dir
// are read there; the others are drawn a batch at a time and written there at once. So memory holds one
// batch, and nothing is drawn twice.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <vector>

#include "apps/sampling_command.h"
#include "data/image.h"
#include "model/sampling/sampler.h"
#include "support/progress_bar.h"

namespace ddpm {

// The denoising process of the first images, frame by frame.
class ProcessFrames {
 public:
  struct Options {
    int images = 0;   // how many of the batch's first images are followed; 0: none
    int frames = 11;  // evenly over the steps, both ends included
    int steps = 1;    // of the sampler
    int size = 0;     // of the images
    int channels = 3;
  };

  explicit ProcessFrames(const Options& options) : options_(options) {}

  // Whether there is a frame of the images after `step` steps; 0: the noise.
  bool wants(int step) const;
  // The batch (N, H, W, C) after a step with a frame.
  void add(std::span<const float> x);

  // One row per image, time from left to right.
  Image strip() const;
  // Each frame as a grid of the images.
  std::vector<Image> animation() const;

 private:
  Options options_;
  std::vector<std::vector<Image>> frames_;
};

class ImageDrawer {
 public:
  ImageDrawer(const SamplingCommand& command, const TrainConfig& config, std::span<const float> parameters,
              const ExecutorFactory& make_executor);

  // Looks for the images that exist, opens --metrics and starts the clock. InputError where --metrics cannot
  // be written.
  void begin();
  // The next image; call it --count times after begin(). Error where the user interrupts.
  Image next();
  // Draws all images that are still missing and reads none of the others.
  void draw_missing();
  // Ends the progress bar; the seconds since begin().
  double finish();

  int64_t drawn() const { return drawn_; }
  int steps() const { return sampler_.steps(); }
  const ProcessFrames& process() const { return process_; }
  const std::vector<float>& values() const { return values_; }  // (N,H,W,C) of all images, for --float-npy

 private:
  std::filesystem::path file_of(int64_t i) const;
  bool exists(int64_t i) const;
  void draw_batch();
  std::vector<Image> sample(int64_t first, int count);
  void log_speed(size_t images, std::chrono::duration<double> time);

  const SamplingCommand& command_;
  UnetConfig network_;
  int batch_;
  Sampler sampler_;
  ProcessFrames process_;
  std::vector<float> initial_noise_;  // (count,H,W,C); empty: the seed's
  std::vector<float> values_;
  std::vector<bool> exists_;   // by image, from --first on
  std::deque<Image> waiting_;  // drawn, but not yet handed out
  int64_t next_;               // the first image after the waiting ones
  int64_t drawn_ = 0;
  std::ofstream metrics_;
  std::optional<ProgressBar> bar_;
};

}  // namespace ddpm
