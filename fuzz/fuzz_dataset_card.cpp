// A data set's JSON card.
#include "data/dataset_card.h"
#include "fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  return ddpm::accept_or_refuse([&] { ddpm::to_json(ddpm::parse_dataset_card(text, "input.json")); });
}
