// The images a model trains on: one array of pixels, optionally with labels and a card next to it.
//
//   NAME.npy         uint8 (N, H, W, C), C order, C = 1 or 3; numpy.load(..., mmap_mode='r') reads it
//   NAME.labels.npy  int32 (N,) classes or uint8 (N, A) attributes; optional
//   NAME.json        the card; optional, so that a plain NumPy array can be trained on
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "data/dataset_card.h"
#include "data/image.h"
#include "data/labels.h"
#include "support/mapped_file.h"

namespace ddpm {

struct DatasetPaths {
  std::filesystem::path pixels;
  std::filesystem::path labels;
  std::filesystem::path card;
};

// The three files of the data set NAME.npy; InputError for a path with another extension.
DatasetPaths dataset_paths(const std::filesystem::path& npy);

class Dataset {
 public:
  // Maps the pixels; reads the card and the labels if they exist. InputError, naming the file, if one of them
  // is malformed or they do not match.
  static Dataset open(const std::filesystem::path& npy);

  // A data set in memory only. The card's sizes must describe `pixels`; its hash is filled in.
  static Dataset from_pixels(std::vector<uint8_t> pixels, DatasetCard card, Labels labels = {});

  int64_t count() const { return card_.count; }
  int height() const { return card_.height; }
  int width() const { return card_.width; }
  int channels() const { return card_.channels; }

  const uint8_t* pixels() const { return pixels_.data(); }  // (N, H, W, C)
  size_t image_bytes() const { return static_cast<size_t>(height()) * width() * channels(); }
  size_t bytes() const { return pixels_.size(); }  // of all images
  ImageView image(int64_t i) const;

  const Labels& labels() const { return labels_; }
  // Without a file: source "unknown", with the sizes of the array.
  const DatasetCard& card() const { return card_; }

  // The card's hash; computed from the pixels if there is no card.
  std::string hash() const;
  // Always computed from the pixels; differs from hash() if the file was changed after its preparation.
  std::string compute_hash() const;

 private:
  Dataset() = default;
  std::variant<std::monostate, MappedFile, std::vector<uint8_t>> storage_;
  std::span<const uint8_t> pixels_;
  DatasetCard card_;
  Labels labels_;
};

}  // namespace ddpm
