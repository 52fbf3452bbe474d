// A checkpoint's state.json, up to the validated configuration.
#include "fuzz/target.h"
#include "model/training/checkpoint.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const ddpm::InputFolder folder;
  folder.write("state.json", {data, size});
  return ddpm::accept_or_refuse([&] {
    const ddpm::CheckpointState state = ddpm::read_checkpoint_state(folder.path());
    ddpm::make_train_config(state.settings);
  });
}
