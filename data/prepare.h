// Prepares a data set: decodes, crops and resizes every image of a source and appends it to one array.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>

#include "data/crop.h"
#include "data/dataset.h"
#include "data/image_source.h"
#include "data/resize.h"
#include "support/error_types.h"

namespace ddpm {

struct PrepareOptions {
  Crop crop = Crop::kNone;
  std::optional<Filter> filter = {};  // none: the crop's own
  int size = 64;
  int channels = 3;   // 1 or 3
  int64_t limit = 0;  // take only the first images; 0: all
  int threads = 0;    // 0: all cores
};

// Called on the calling thread after each image; false stops the preparation.
using PrepareProgress = std::function<bool(int64_t done, int64_t total)>;

// Thrown when the progress function stops the preparation: nothing was written.
class PreparationStopped : public Error {
 public:
  using Error::Error;
};

// Writes NAME.npy, its labels and its card (data/dataset.h) and returns the card. The array is streamed:
// memory use does not grow with the number of images. The files appear once they are complete; on an
// error none appears.
DatasetCard prepare_dataset(const ImageSource& source, const PrepareOptions& options,
                            const std::filesystem::path& npy, const PrepareProgress& progress = {});

// The same in memory, for small data sets.
Dataset prepare_in_memory(const ImageSource& source, const PrepareOptions& options);

// ---- Shared by everything that works through a data set image by image.

// The first `limit` of `count` images; all of them if it is 0.
int64_t limited_count(int64_t count, int64_t limit);
// `threads`, or the number of cores if it is 0.
int thread_count(int threads);
// InputError if either is negative.
void check_limit_and_threads(int64_t limit, int threads);
// Throws PreparationStopped if the progress function, if any, returns false.
void report_progress(const PrepareProgress& progress, int64_t done, int64_t total);

}  // namespace ddpm
