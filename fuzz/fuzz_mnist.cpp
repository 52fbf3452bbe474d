// MNIST's pair of idx files, plain or gzip. An input is the size of the image file as 16 bits little-endian,
// the image file, and the label file.
#include <algorithm>

#include "data/mnist.h"
#include "fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const ddpm::InputFolder folder;
  if (size < 2) return 0;
  const std::span<const uint8_t> files(data + 2, size - 2);
  const size_t image_bytes = std::min<size_t>(data[0] | data[1] << 8, files.size());
  folder.write("train-images-idx3-ubyte", files.first(image_bytes));
  folder.write("train-labels-idx1-ubyte", files.subspan(image_bytes));
  return ddpm::accept_or_refuse([&] {
    const auto source = ddpm::open_mnist(folder.path(), ddpm::Split::kTrain, ddpm::MnistPadding::kTo32);
    const auto reader = source->open_reader();
    for (int64_t i = 0; i < source->count(); ++i) reader->read(i);
  });
}
