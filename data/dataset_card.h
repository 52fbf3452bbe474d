// A data set's card: where its images come from and how they were prepared, as JSON.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace ddpm {

struct DatasetCard {
  std::string source;  // "celeba", "folder", "cifar10", "mnist", "synthetic-faces"
  std::string split;   // empty if the source has none
  std::string crop;
  std::string filter;
  int64_t count = 0;
  int height = 0;
  int width = 0;
  int channels = 0;
  std::string hash;                      // of the pixels, see data/content_hash.h
  std::string label_kind;                // "none", "classes" or "attributes"
  std::vector<std::string> label_names;  // of the classes or of the attributes
};

std::string to_json(const DatasetCard& card);

// InputError, naming `path`, if the text is not a card or lacks a field.
DatasetCard parse_dataset_card(const std::string& json, const std::filesystem::path& path);

}  // namespace ddpm
