// Pictures of the denoising process: some images at chosen moments side by side, and all moments as
// frames.
#pragma once

#include <span>
#include <vector>

#include "data/image.h"

namespace ddpm {

struct SamplingPicturesOptions {
  int images = 0;    // how many of the batch's first images are followed; 0: none
  int moments = 11;  // columns of the strip, evenly over the steps, both ends taken
  int steps = 1;     // of the sampler
  int size = 0;      // of the images
  int channels = 3;
};

class SamplingPictures {
 public:
  explicit SamplingPictures(const SamplingPicturesOptions& options) : options_(options) {}

  // Whether the pictures show the images after `step` steps; 0: the noise.
  bool wants(int step) const;
  // The batch (N, H, W, C) after a step that is wanted.
  void add(std::span<const float> x);

  // A row an image, time from left to right.
  Image strip() const;
  // A frame a moment, the images as a grid.
  std::vector<Image> animation() const;

 private:
  SamplingPicturesOptions options_;
  std::vector<std::vector<Image>> moments_;  // by moment, the images then
};

}  // namespace ddpm
