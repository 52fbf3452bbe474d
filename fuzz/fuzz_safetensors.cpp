// safetensors files: the header, the coverage of the data, and the conversion of every tensor's values.
#include "fuzz/target.h"
#include "model/weights/safetensors.h"

namespace {

void read_values(const ddpm::SafetensorsFile& file, const std::string& name) {
  ddpm::accept_or_refuse([&] { file.values<float>(name); });
  ddpm::accept_or_refuse([&] { file.values<int64_t>(name); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const ddpm::InputFolder folder;
  const auto path = folder.write("input.safetensors", {data, size});
  return ddpm::accept_or_refuse([&] {
    const ddpm::SafetensorsFile file(path);
    for (const auto& [name, view] : file.tensors()) read_values(file, name);
  });
}
