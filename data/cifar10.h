// CIFAR-10 (Krizhevsky 2009), binary version.
#pragma once

#include <filesystem>
#include <memory>

#include "data/image_source.h"
#include "data/split.h"

namespace ddpm {

inline constexpr SourceDefaults kCifar10Defaults{.crop = Crop::kNone, .size = 32};

// `path` is one .bin file or the folder cifar-10-batches-bin: the train split is every data_batch_*.bin
// found, the test split is test_batch.bin, kAll takes both. Labels are the ten classes. Throws InputError for
// a file whose size or labels cannot be CIFAR-10's.
std::unique_ptr<ImageSource> open_cifar10(const std::filesystem::path& path, Split split);

}  // namespace ddpm
