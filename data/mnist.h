// MNIST (LeCun et al. 1998) and the data sets in its idx format.
#pragma once

#include <filesystem>
#include <memory>

#include "data/image_source.h"
#include "data/split.h"

namespace ddpm {

enum class MnistPadding { kNone, kTo32 };

// `path` is the folder of train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-..., each plain or with .gz.
// The split kAll takes train and test. Images are grey; kTo32 puts the 28x28 digits into the middle of 32x32
// black ones. A file that is damaged, cut short or of another shape is an InputError.
std::unique_ptr<ImageSource> open_mnist(const std::filesystem::path& path, Split split,
                                        MnistPadding padding = MnistPadding::kNone);

}  // namespace ddpm
