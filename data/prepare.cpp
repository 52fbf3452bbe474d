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

// Larger than anything this engine trains on; also keeps every size within int.
constexpr int kMaxSize = 4096;

void check_options(const ImageSource& source, const PrepareOptions& options) {
  if (options.size < 1 || options.size > kMaxSize)
    throw_input("size {} is out of range: choose 1 to {}", options.size, kMaxSize);
  if (options.channels != 1 && options.channels != 3)
    throw_input("{} channels are not supported: choose 1 or 3", options.channels);
  check_limit_and_threads(options.limit, options.threads);
  if (source.count() == 0) throw_input("source {} has no images: check its path", source.name());
}

DatasetCard make_card(const ImageSource& source, const PrepareOptions& options, const Labels& labels) {
  return {.source = source.name(),
          .split = source.split(),
          .crop = std::string(crop_name(options.crop)),
          .filter = std::string(filter_name(options.filter.value_or(default_filter(options.crop)))),
          .count = limited_count(source.count(), options.limit),
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

// Calls consume(prepared image, its index) for every image in order.
template <typename Consume>
void for_each_prepared(const ImageSource& source, const PrepareOptions& options, int64_t count,
                       const Consume& consume) {
  const Filter filter = options.filter.value_or(default_filter(options.crop));
  OrderedWorkers<Image> workers(count, thread_count(options.threads),
                                [&]() -> OrderedWorkers<Image>::Produce {
                                  const std::shared_ptr<ImageReader> reader = source.open_reader();
                                  return [&options, filter, reader](int64_t i) {
                                    const Image image = with_channels(reader->read(i), options.channels);
                                    return crop_image(image, i, options, filter);
                                  };
                                });
  for (int64_t i = 0; i < count; ++i) consume(workers.next(), i);
}

}  // namespace

int64_t limited_count(int64_t count, int64_t limit) { return limit > 0 ? std::min(limit, count) : count; }

int thread_count(int threads) {
  return threads > 0 ? threads : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

void check_limit_and_threads(int64_t limit, int threads) {
  if (limit < 0) throw_input("limit {} is negative: choose 0 for all images", limit);
  if (threads < 0) throw_input("threads {} is negative: choose 0 for all cores", threads);
}

void report_progress(const PrepareProgress& progress, int64_t done, int64_t total) {
  if (progress && !progress(done, total)) throw PreparationStopped("stopped early, nothing was written");
}

DatasetCard prepare_dataset(const ImageSource& source, const PrepareOptions& options,
                            const std::filesystem::path& npy, const PrepareProgress& progress) {
  const DatasetPaths paths = dataset_paths(npy);
  check_options(source, options);
  DatasetCard card = make_card(source, options, source.labels());
  AtomicFile file(paths.pixels);
  const std::vector<int64_t> shape = {card.count, card.height, card.width, card.channels};
  file.write(npy_header(npy_dtype<uint8_t>(), shape));
  ContentHash hash;
  for_each_prepared(source, options, card.count, [&](const Image& image, int64_t i) {
    file.write(image.pixels.data(), image.pixels.size());
    hash.update(image.pixels.data(), image.pixels.size());
    report_progress(progress, i + 1, card.count);
  });
  card.hash = hash.text();
  // Labels and card of an earlier data set must not describe the new one, not even for a moment.
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
  });
  if (labels.kind != LabelKind::kNone) labels = labels.first(card.count);
  return Dataset::from_pixels(std::move(pixels), std::move(card), std::move(labels));
}

}  // namespace ddpm
