#include "data/prepare.h"

#include <algorithm>
#include <system_error>
#include <thread>

#include "data/content_hash.h"
#include "data/npy.h"
#include "data/ordered_workers.h"
#include "support/atomic_file.h"
#include "support/error.h"

namespace ddpm {
namespace {

// Larger images would be another project's data set; also keeps every size within int.
constexpr int kMaxSize = 4096;

void check_options(const ImageSource& source, const PrepareOptions& options) {
  if (options.size < 1 || options.size > kMaxSize)
    throw_input("size {} is out of range: choose 1 to {}", options.size, kMaxSize);
  if (options.channels != 1 && options.channels != 3)
    throw_input("{} channels are not possible: choose 1 or 3", options.channels);
  if (options.limit < 0) throw_input("limit {} is negative: choose 0 for all images", options.limit);
  if (options.threads < 0)
    throw_input("{} threads are not possible: choose 0 for all cores", options.threads);
  if (source.count() == 0) throw_input("the source {} holds no images: check its path", source.name());
}

DatasetCard make_card(const ImageSource& source, const PrepareOptions& options, const Labels& labels) {
  const int64_t count = options.limit > 0 ? std::min(options.limit, source.count()) : source.count();
  return {.source = source.name(),
          .split = source.split(),
          .crop = std::string(crop_name(options.crop)),
          .filter = std::string(filter_name(options.filter.value_or(default_filter(options.crop)))),
          .count = count,
          .height = options.size,
          .width = options.size,
          .channels = options.channels,
          .hash = {},
          .label_kind = label_kind_name(labels.kind),
          .label_names = labels.names};
}

Image crop_image(const Image& image, int64_t index, const PrepareOptions& options, Filter filter) {
  try {
    return crop_and_resize(image, options.crop, filter, options.size);
  } catch (const InputError& error) {
    throw_input("image {} (counted from 0): {}", index, error.what());
  }
}

// Calls consume(pixels of image i) for every image in order; false from it stops.
template <typename Consume>
bool for_each_prepared(const ImageSource& source, const PrepareOptions& options, int64_t count,
                       const Consume& consume) {
  const Filter filter = options.filter.value_or(default_filter(options.crop));
  const int threads = options.threads > 0 ? options.threads : default_thread_count();
  OrderedWorkers<Image> workers(count, threads, [&]() -> OrderedWorkers<Image>::Produce {
    const std::shared_ptr<ImageReader> reader = source.open_reader();
    return [&options, filter, reader](int64_t i) {
      const Image image = with_channels(reader->read(i), options.channels);
      return crop_image(image, i, options, filter);
    };
  });
  for (int64_t i = 0; i < count; ++i)
    if (!consume(workers.next(), i)) return false;
  return true;
}

}  // namespace

int default_thread_count() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

DatasetCard prepare_dataset(const ImageSource& source, const PrepareOptions& options,
                            const std::filesystem::path& npy, const PrepareProgress& progress) {
  const DatasetPaths paths = dataset_paths(npy);
  check_options(source, options);
  DatasetCard card = make_card(source, options, source.labels());
  AtomicFile file(paths.pixels);
  const std::vector<int64_t> shape = {card.count, card.height, card.width, card.channels};
  file.write(npy_header(npy_dtype<uint8_t>(), shape));
  ContentHash hash;
  const bool complete = for_each_prepared(source, options, card.count, [&](const Image& image, int64_t i) {
    file.write(image.pixels.data(), image.pixels.size());
    hash.update(image.pixels.data(), image.pixels.size());
    return !progress || progress(i + 1, card.count);
  });
  if (!complete) throw PreparationStopped("stopped before the end, nothing was written");
  card.hash = hash.text();
  // What an earlier set of this name left may not describe the new one for a moment.
  std::error_code ignored;
  std::filesystem::remove(paths.labels, ignored);
  std::filesystem::remove(paths.card, ignored);
  file.commit();
  if (source.labels().kind != LabelKind::kNone) write_labels(paths.labels, source.labels().first(card.count));
  write_file_atomically(paths.card, to_json(card));
  return card;
}

Dataset prepare_in_memory(const ImageSource& source, const PrepareOptions& options) {
  check_options(source, options);
  Labels labels = source.labels();
  DatasetCard card = make_card(source, options, labels);
  std::vector<uint8_t> pixels;
  pixels.reserve(static_cast<size_t>(card.count) * card.height * card.width * card.channels);
  for_each_prepared(source, options, card.count, [&](const Image& image, int64_t) {
    pixels.insert(pixels.end(), image.pixels.begin(), image.pixels.end());
    return true;
  });
  if (labels.kind != LabelKind::kNone) labels = labels.first(card.count);
  return Dataset::from_pixels(std::move(pixels), std::move(card), std::move(labels));
}

}  // namespace ddpm
