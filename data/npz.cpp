#include "data/npz.h"

#include <string>
#include <vector>

#include "data/npy.h"
#include "data/zip_writer.h"
#include "support/error.h"

namespace ddpm {
namespace {

template <typename T>
std::vector<uint8_t> npy_bytes(std::span<const T> values, const std::vector<int64_t>& shape) {
  const std::string header = npy_header(npy_dtype<T>(), shape);
  const auto* first = reinterpret_cast<const uint8_t*>(values.data());
  std::vector<uint8_t> bytes(header.begin(), header.end());
  bytes.insert(bytes.end(), first, first + values.size_bytes());
  return bytes;
}

}  // namespace

void write_npz(const std::filesystem::path& path, const NpzSamples& samples) {
  const std::vector<int64_t> shape = {samples.count, samples.height, samples.width, samples.channels};
  DDPM_CHECK(samples.count * samples.height * samples.width * samples.channels ==
             static_cast<int64_t>(samples.pixels.size()));
  DDPM_CHECK(samples.labels.empty() || static_cast<int64_t>(samples.labels.size()) == samples.count);
  ZipWriter zip(path);
  zip.add("arr_0.npy", [&] { return npy_bytes(samples.pixels, shape); });
  if (!samples.labels.empty())
    zip.add("arr_1.npy", [&] { return npy_bytes(samples.labels, {samples.count}); });
  zip.commit();
}

}  // namespace ddpm
