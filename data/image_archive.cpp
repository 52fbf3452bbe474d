#include "data/image_archive.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

#include "data/content_hash.h"
#include "data/ordered_workers.h"
#include "data/zip_writer.h"
#include "support/error.h"

namespace ddpm {
namespace {

constexpr int kMaxJpegSide = 65500;  // libjpeg's

void check_options(const Dataset& dataset, const ImageArchiveOptions& options) {
  if (options.quality < 1 || options.quality > 100)
    throw_input("quality {} is out of range: choose 1 to 100", options.quality);
  check_limit_and_threads(options.limit, options.threads);
  if (std::max(dataset.width(), dataset.height()) > kMaxJpegSide)
    throw_input("images of {}x{} are too large for JPEG: its sides are at most {} pixels", dataset.height(),
                dataset.width(), kMaxJpegSide);
}

// An encoded image and its squared error.
struct Picture {
  std::vector<uint8_t> jpeg;
  uint64_t squared_error = 0;
};

uint64_t squared_difference(const ImageView& a, const Image& b) {
  uint64_t sum = 0;
  for (int y = 0; y < a.height; ++y)
    for (int x = 0; x < a.width * a.channels; ++x) {
      const int difference = a.row(y)[x] - b.row(y)[x];
      sum += static_cast<uint64_t>(difference * difference);
    }
  return sum;
}

Picture make_picture(const ImageView& image, const ImageArchiveOptions& options, JpegDecoder& decoder) {
  std::vector<uint8_t> jpeg = encode_jpeg(image, options.quality, options.chroma);
  const Image back = with_channels(decoder.decode(jpeg, "the image as written"), image.channels);
  return {std::move(jpeg), squared_difference(image, back)};
}

// Enough digits that the names sort in order, at least six.
std::string file_name(int64_t i, int64_t count) {
  const size_t digits = std::max<size_t>(6, fmt::format("{}", count - 1).size());
  return fmt::format("{:0{}}.jpg", i, digits);
}

// The card of the images in the archive.
DatasetCard archive_card(const Dataset& dataset, int64_t count, const std::string& hash) {
  DatasetCard card = dataset.card();
  card.count = count;
  card.hash = hash;
  card.label_kind = label_kind_name(dataset.labels().kind);
  card.label_names = dataset.labels().names;
  return card;
}

}  // namespace

ImageArchiveSummary write_image_archive(const Dataset& dataset, const ImageArchiveOptions& options,
                                        const std::filesystem::path& path, const PrepareProgress& progress) {
  check_options(dataset, options);
  const int64_t count = limited_count(dataset.count(), options.limit);
  OrderedWorkers<Picture> workers(count, thread_count(options.threads),
                                  [&]() -> OrderedWorkers<Picture>::Produce {
                                    return [&, decoder = std::make_shared<JpegDecoder>()](int64_t i) {
                                      return make_picture(dataset.image(i), options, *decoder);
                                    };
                                  });
  ZipWriter zip(path);
  ContentHash hash;
  uint64_t squared_error = 0;
  for (int64_t i = 0; i < count; ++i)
    zip.add(file_name(i, count), [&, i] {
      Picture picture = workers.next();
      squared_error += picture.squared_error;
      hash.update(dataset.image(i).pixels, dataset.image_bytes());
      report_progress(progress, i + 1, count);
      return std::move(picture.jpeg);
    });
  if (dataset.labels().kind != LabelKind::kNone)
    zip.add("labels.npy", [&] { return encode_labels(dataset.labels().first(count)); });
  zip.add("card.json", [&] {
    const std::string json = to_json(archive_card(dataset, count, hash.text()));
    return std::vector<uint8_t>(json.begin(), json.end());
  });
  zip.commit();
  const double mean = static_cast<double>(squared_error) /
                      (static_cast<double>(count) * static_cast<double>(dataset.image_bytes()));
  return {.count = count, .psnr = 10 * std::log10(255.0 * 255.0 / mean)};
}

}  // namespace ddpm
