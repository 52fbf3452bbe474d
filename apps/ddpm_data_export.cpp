// ddpm_data export: a data set as an archive of JPEG files.
#include <fmt/format.h>

#include "apps/ddpm_data_commands.h"
#include "data/image_archive.h"
#include "support/interrupt.h"
#include "support/progress_bar.h"

namespace ddpm {

int run_export(const ExportCommand& command) {
  const ImageArchiveOptions options{.quality = command.quality,
                                    .chroma = jpeg_chroma_from_name(command.chroma),
                                    .limit = command.limit,
                                    .threads = command.threads};
  const Dataset dataset = Dataset::open(command.npy);
  ProgressBar bar({.label = "JPEG files", .total = limited_count(dataset.count(), options.limit)});
  const ImageArchiveSummary summary =
      write_image_archive(dataset, options, command.zip, [&](int64_t done, int64_t) {
        bar.update(done);
        return !interrupted();
      });
  bar.clear();
  fmt::print("{}: {} images of {}x{}x{}, {:.2f} MiB, PSNR {:.1f} dB, labels: {}\n", command.zip.string(),
             summary.count, dataset.height(), dataset.width(), dataset.channels(),
             static_cast<double>(std::filesystem::file_size(command.zip)) / 0x1p20, summary.psnr,
             label_kind_name(dataset.labels().kind));
  return 0;
}

}  // namespace ddpm
