#include "data/dataset.h"

#include <fmt/ranges.h>

#include <limits>

#include "data/content_hash.h"
#include "data/npy.h"
#include "support/atomic_file.h"
#include "support/error.h"

namespace ddpm {
namespace {

// The sizes in a checked header; InputError if the array is not a stack of images.
DatasetCard card_of_array(const NpyHeader& header, const std::filesystem::path& path) {
  const std::vector<int64_t>& shape = header.shape;
  if (shape.size() != 4)
    throw_input("{}: has shape ({}), but images have four dimensions (N, H, W, C): reshape it in NumPy",
                path.string(), fmt::join(shape, ", "));
  if (shape[3] != 1 && shape[3] != 3)
    throw_input(
        "{}: has {} channels (shape ({})), expected 1 or 3 in the last dimension: transpose it in NumPy",
        path.string(), shape[3], fmt::join(shape, ", "));
  if (shape[0] == 0 || shape[1] == 0 || shape[2] == 0)
    throw_input("{}: is empty (shape ({})): prepare the data set again", path.string(),
                fmt::join(shape, ", "));
  constexpr int64_t kMaxSide = std::numeric_limits<int>::max() / 4;
  if (shape[1] > kMaxSide || shape[2] > kMaxSide)
    throw_input("{}: images of {}x{} are too large: prepare the data set at a smaller size", path.string(),
                shape[2], shape[1]);
  return {.source = "unknown",
          .split = "",
          .crop = "",
          .filter = "",
          .count = shape[0],
          .height = static_cast<int>(shape[1]),
          .width = static_cast<int>(shape[2]),
          .channels = static_cast<int>(shape[3]),
          .hash = "",
          .label_kind = "none",
          .label_names = {}};
}

DatasetCard read_card(const std::filesystem::path& path, const DatasetCard& array) {
  DatasetCard card = parse_dataset_card(read_file(path), path);
  if (card.count != array.count || card.height != array.height || card.width != array.width ||
      card.channels != array.channels)
    throw_input(
        "{}: describes {} images of {}x{}x{}, but the array beside it holds {} of {}x{}x{}: prepare the data "
        "set again or remove the card",
        path.string(), card.count, card.height, card.width, card.channels, array.count, array.height,
        array.width, array.channels);
  return card;
}

}  // namespace

DatasetPaths dataset_paths(const std::filesystem::path& npy) {
  if (npy.extension() != ".npy")
    throw_input("'{}' does not end in .npy: name the data set's array, for example faces64.npy",
                npy.string());
  const std::filesystem::path stem = npy.parent_path() / npy.stem();
  return {npy, stem.string() + ".labels.npy", stem.string() + ".json"};
}

Dataset Dataset::open(const std::filesystem::path& npy) {
  const DatasetPaths paths = dataset_paths(npy);
  MappedFile file(npy);
  const NpyHeader header = check_npy(file.bytes(), npy_dtype<uint8_t>(), sizeof(uint8_t), npy);
  Dataset dataset;
  dataset.card_ = card_of_array(header, npy);
  if (std::filesystem::exists(paths.card)) dataset.card_ = read_card(paths.card, dataset.card_);
  if (std::filesystem::exists(paths.labels)) {
    dataset.labels_ = read_labels(paths.labels, dataset.card_.label_names);
    if (dataset.labels_.count() != dataset.count())
      throw_input("{}: has labels for {} images, but the array holds {}: prepare the data set again",
                  paths.labels.string(), dataset.labels_.count(), dataset.count());
  }
  dataset.pixels_ = file.bytes().subspan(header.data_offset);
  dataset.storage_ = std::move(file);
  return dataset;
}

Dataset Dataset::from_pixels(std::vector<uint8_t> pixels, DatasetCard card, Labels labels) {
  DDPM_CHECK(card.count > 0 && card.height > 0 && card.width > 0 &&
             (card.channels == 1 || card.channels == 3));
  DDPM_CHECK(card.count * card.height * card.width * card.channels == static_cast<int64_t>(pixels.size()));
  DDPM_CHECK(labels.kind == LabelKind::kNone || labels.count() == card.count);
  Dataset dataset;
  dataset.card_ = std::move(card);
  dataset.labels_ = std::move(labels);
  dataset.card_.label_kind = label_kind_name(dataset.labels_.kind);
  dataset.card_.label_names = dataset.labels_.names;
  dataset.card_.hash = content_hash(pixels.data(), pixels.size());
  // Moving a vector leaves its elements where they are.
  dataset.pixels_ = pixels;
  dataset.storage_ = std::move(pixels);
  return dataset;
}

ImageView Dataset::image(int64_t i) const {
  DDPM_CHECK(i >= 0 && i < count());
  return {pixels_.data() + static_cast<size_t>(i) * image_bytes(), width(), height(), channels()};
}

std::string Dataset::hash() const { return card_.hash.empty() ? compute_hash() : card_.hash; }

std::string Dataset::compute_hash() const { return content_hash(pixels_.data(), pixels_.size()); }

}  // namespace ddpm
