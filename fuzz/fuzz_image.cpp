// PNG and JPEG files of an image folder.
#include "data/image_files.h"
#include "fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return ddpm::accept_or_refuse([&] { ddpm::ImageDecoder().decode({data, size}, "input"); });
}
