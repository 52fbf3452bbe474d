// CelebA (Liu et al. 2015) as its authors publish it.
#pragma once

#include <filesystem>
#include <memory>

#include "data/image_source.h"
#include "data/split.h"

namespace ddpm {

inline constexpr SourceDefaults kCelebaDefaults{.crop = Crop::kDdim, .size = 64};

struct CelebaOptions {
  // img_align_celeba.zip, the unpacked folder img_align_celeba, or a folder that contains one of them.
  std::filesystem::path images = {};
  // The folder of list_eval_partition.txt and list_attr_celeba.txt; empty: next to `images`.
  std::filesystem::path annotations = {};
  Split split = Split::kTrain;
};

// The images of a split, ordered by number. An archive is read in place; each reader opens its own handle. If
// list_attr_celeba.txt exists, its 40 attributes become labels (-1 becomes 0). Split kAll takes every image
// and needs no partition file. Throws InputError, naming the line, if a partition or attribute file is
// malformed or does not match the images.
std::unique_ptr<ImageSource> open_celeba(const CelebaOptions& options);

}  // namespace ddpm
