// CelebA's list_eval_partition.txt.
#include "data/celeba_lists.h"
#include "fuzz/target.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const ddpm::InputFolder folder;
  const auto path = folder.write("list_eval_partition.txt", {data, size});
  return ddpm::accept_or_refuse([&] {
    const ddpm::CelebaPartition partition = ddpm::read_celeba_partition(path);
    DDPM_CHECK(partition.names.size() == partition.parts.size());
  });
}
