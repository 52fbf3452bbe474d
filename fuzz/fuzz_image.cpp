// PNG and JPEG files, as a folder of images holds them.
#include "data/image_files.h"
#include "fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return ddpm::accept_or_refuse([&] { ddpm::ImageDecoder().decode({data, size}, "input"); });
}
