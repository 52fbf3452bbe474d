// CelebA (Liu et al. 2015) as its authors publish it.
#pragma once

#include <filesystem>
#include <memory>

#include "data/image_source.h"
#include "data/split.h"

namespace ddpm {

struct CelebaOptions {
  // img_align_celeba.zip, the folder img_align_celeba of JPEGs, or a folder that holds one of these.
  std::filesystem::path images = {};
  // The folder of list_eval_partition.txt and list_attr_celeba.txt; empty: that of `images`.
  std::filesystem::path annotations = {};
  Split split = Split::kTrain;
};

// The images of a split in the order of their numbers. An archive is read in place, through one handle a
// reader. The 40 attributes become labels where list_attr_celeba.txt is there (its -1 becomes 0). Split kAll
// takes every image and needs no partition file. A partition or attribute file that is malformed or does not
// match the images is an InputError that names the line.
std::unique_ptr<ImageSource> open_celeba(const CelebaOptions& options);

}  // namespace ddpm
