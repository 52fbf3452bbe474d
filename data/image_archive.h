// A data set as an archive of pictures, a fraction of its size, in which it travels: `open_image_folder`
// reads it back.
//
//   000000.jpg ..  the images in order, JPEG
//   labels.npy     as NAME.labels.npy; only where the data set has labels
//   card.json      the card: crop and filter among it, the names of the labels, the hash of the pixels before
//   JPEG
#pragma once

#include <cstdint>
#include <filesystem>

#include "data/dataset.h"
#include "data/jpeg.h"
#include "data/prepare.h"

namespace ddpm {

struct ImageArchiveOptions {
  int quality = 95;  // 1..100
  JpegChroma chroma = JpegChroma::kFull;
  int64_t limit = 0;  // the first so many images; 0: all
  int threads = 0;    // 0: as many as the machine has
};

struct ImageArchiveSummary {
  int64_t count = 0;
  double psnr = 0;  // in dB, of all pixels together, as they come back; infinite where they are the same
};

// Writes the archive, a zip of stored members. Images are made as they are written, and the file appears when
// all is done. InputError for options out of range, images too large for JPEG, and files that cannot be
// written.
ImageArchiveSummary write_image_archive(const Dataset& dataset, const ImageArchiveOptions& options,
                                        const std::filesystem::path& zip,
                                        const PrepareProgress& progress = {});

}  // namespace ddpm
