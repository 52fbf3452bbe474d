// NumPy arrays: the header's dictionary and the size it claims.
#include "data/npy.h"
#include "fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return ddpm::accept_or_refuse([&] { ddpm::parse_npy<uint8_t>({data, size}, "input.npy"); });
}
