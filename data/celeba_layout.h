// Synthetic faces in CelebA's file layout, to test the whole data path at any scale.
#pragma once

#include <cstdint>
#include <filesystem>

#include "data/prepare.h"

namespace ddpm {

struct CelebaLayoutOptions {
  int64_t count = 5000;
  uint64_t seed = 0;
  int threads = 0;  // 0: all cores
};

// Writes three files into `folder`:
//
//   img_align_celeba.zip     img_align_celeba/000001.jpg, ..., 178x218, numbered from 1
//   list_attr_celeba.txt     CelebA's 40 attributes; those that the synthetic faces lack are -1
//   list_eval_partition.txt  80 % train, 10 % validation, 10 % test, in CelebA's order
//
// A face fills the crop `ddim`.
void write_celeba_layout(const CelebaLayoutOptions& options, const std::filesystem::path& folder,
                         const PrepareProgress& progress = {});

}  // namespace ddpm
