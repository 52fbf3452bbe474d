// TOML configuration files, up to the validated configuration.
#include "fuzz/target.h"
#include "model/training/train_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const ddpm::InputFolder folder;
  const auto path = folder.write("config.toml", {data, size});
  return ddpm::accept_or_refuse([&] { ddpm::make_train_config(ddpm::read_settings(path)); });
}
