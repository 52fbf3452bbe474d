// CIFAR-10's binary records.
#include "data/cifar10.h"
#include "fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const ddpm::InputFolder folder;
  const auto path = folder.write("data_batch_1.bin", {data, size});
  return ddpm::accept_or_refuse([&] {
    const auto source = ddpm::open_cifar10(path, ddpm::Split::kTrain);
    const auto reader = source->open_reader();
    for (int64_t i = 0; i < source->count(); ++i) reader->read(i);
  });
}
