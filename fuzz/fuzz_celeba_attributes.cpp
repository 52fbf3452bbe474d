// CelebA's list_attr_celeba.txt.
#include "data/celeba_lists.h"
#include "fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const ddpm::InputFolder folder;
  const auto path = folder.write("list_attr_celeba.txt", {data, size});
  return ddpm::accept_or_refuse([&] {
    const ddpm::CelebaAttributes list = ddpm::read_celeba_attributes(path);
    DDPM_CHECK(list.values.size() == list.names.size() * list.attributes.size());
  });
}
