// A data set as a zip archive of JPEG images, a fraction of its size, for transfer.
// open_image_folder() reads it.
//
//   000000.jpg, ...  the images in order
//   labels.npy       like NAME.labels.npy; only if the data set has labels
//   card.json        the card: crop, filter, label names, and the hash of the pixels before JPEG
#pragma once

#include <cstdint>
#include <filesystem>

#include "data/dataset.h"
#include "data/jpeg.h"
#include "data/prepare.h"

namespace ddpm {

struct ImageArchiveOptions {
  int quality = 95;  // 1 to 100
  JpegChroma chroma = JpegChroma::kFull;
  int64_t limit = 0;  // take only the first images; 0: all
  int threads = 0;    // 0: all cores
};

struct ImageArchiveSummary {
  int64_t count = 0;
  double psnr = 0;  // in dB, of all decoded pixels together; infinite if they are unchanged
};

// Writes a zip of stored (uncompressed) members. Images are encoded as they are written; the file appears
// once it is complete. InputError for options out of range, images too large for JPEG, and unwritable files.
ImageArchiveSummary write_image_archive(const Dataset& dataset, const ImageArchiveOptions& options,
                                        const std::filesystem::path& zip,
                                        const PrepareProgress& progress = {});

}  // namespace ddpm
