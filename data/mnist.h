// MNIST (LeCun et al. 1998) and the data sets in its idx format.
#pragma once

#include <filesystem>
#include <memory>

#include "data/image_source.h"
#include "data/split.h"

namespace ddpm {

enum class MnistPadding { kNone, kTo32 };

constexpr SourceDefaults mnist_defaults(MnistPadding padding) {
  return {.crop = Crop::kNone, .size = padding == MnistPadding::kTo32 ? 32 : 28};
}

// `path` is the folder of train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-..., each plain or with .gz.
// Split kAll takes train and test. Images are gray; kTo32 centers the 28x28 digits in black 32x32 images.
// InputError for a file that is damaged, truncated or of another shape.
std::unique_ptr<ImageSource> open_mnist(const std::filesystem::path& path, Split split,
                                        MnistPadding padding = MnistPadding::kNone);

}  // namespace ddpm
