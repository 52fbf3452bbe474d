// The preparation of a data set: every image of a source decoded, cropped, resized and appended to one
// array.
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
  int64_t limit = 0;  // take the first so many images; 0: all
  int threads = 0;    // 0: as many as the machine has
};

// Called in the calling thread after each image; false stops the preparation.
using PrepareProgress = std::function<bool(int64_t done, int64_t total)>;

// Stopped by the progress function: nothing was written.
class PreparationStopped : public Error {
 public:
  using Error::Error;
};

// Writes NAME.npy, its labels and its card (see data/dataset.h) and returns the card. The array is streamed:
// memory does not grow with the number of images. Files appear only when all is done; on any error none does.
DatasetCard prepare_dataset(const ImageSource& source, const PrepareOptions& options,
                            const std::filesystem::path& npy, const PrepareProgress& progress = {});

// The same in memory, for small sets.
Dataset prepare_in_memory(const ImageSource& source, const PrepareOptions& options);

// Cores of the machine, at least 1.
int default_thread_count();

}  // namespace ddpm
