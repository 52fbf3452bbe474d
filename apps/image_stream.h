// The images that ddpm_sample was asked for, one after the other: those that a stopped run left in the
// folder are read there, the others are drawn a batch at a time and written there at once. So memory holds
// one batch, and nothing is drawn twice.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <vector>

#include "data/image.h"

namespace ddpm {

enum class ExistingImages : uint8_t { kAreKept, kAreDrawnAgain };

struct ImageStreamOptions {
  int64_t first = 0;
  int64_t count = 0;
  int batch = 1;
  std::filesystem::path folder;  // of the PNGs; empty: none are written
  ExistingImages existing = ExistingImages::kAreKept;
};

class ImageStream {
 public:
  // Images first .. first + count - 1; count is at most the batch. What it throws comes out of the functions
  // below.
  using Draw = std::function<std::vector<Image>(int64_t first, int count)>;
  ImageStream(ImageStreamOptions options, Draw draw);

  // How many have to be drawn in all. A file in the folder is whole: they are written beside and renamed.
  int64_t to_draw() const { return to_draw_; }
  int64_t drawn() const { return drawn_; }

  // The next image; to be called `count` times.
  Image next();
  // Draws what is missing, and looks at nothing else.
  void draw_all();

 private:
  bool exists(int64_t i) const;
  // Draws the batch that begins with the missing image i; returns the image after it.
  int64_t draw_from(int64_t i, std::vector<Image>& images);

  ImageStreamOptions options_;
  Draw draw_;
  std::vector<bool> exists_;
  int64_t to_draw_ = 0, drawn_ = 0;
  int64_t next_;               // the first image beyond the waiting ones
  std::deque<Image> waiting_;  // drawn, not yet asked for
};

}  // namespace ddpm
