// CIFAR-10 (Krizhevsky 2009), the binary version.
#pragma once

#include <filesystem>
#include <memory>

#include "data/image_source.h"
#include "data/split.h"

namespace ddpm {

// `path` is one .bin file, or the folder cifar-10-batches-bin: its data_batch_*.bin are the train split
// (those that are there), its test_batch.bin is the test split; kAll takes both. Labels are the ten classes.
// A file whose size or whose labels cannot be CIFAR-10's is an InputError.
std::unique_ptr<ImageSource> open_cifar10(const std::filesystem::path& path, Split split);

}  // namespace ddpm
