#include "data/npz.h"

#include <string>

#include "data/npy.h"
#include "data/zip_writer.h"
#include "support/error.h"

namespace ddpm {
namespace {

using Bytes = std::vector<uint8_t>;

Bytes bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

// The pieces of arr_0.npy: the header, then one image each.
class ImagePieces {
 public:
  explicit ImagePieces(const NpzSamples& samples) : samples_(samples) {}

  Bytes operator()() {
    const int64_t piece = next_++;
    if (piece == 0) {
      const int64_t shape[] = {samples_.count, samples_.height, samples_.width, samples_.channels};
      return bytes_of(npy_header(npy_dtype<uint8_t>(), shape));
    }
    if (piece > samples_.count) return {};
    Bytes pixels = samples_.image(piece - 1);
    DDPM_CHECK(static_cast<int64_t>(pixels.size()) ==
               static_cast<int64_t>(samples_.height) * samples_.width * samples_.channels);
    return pixels;
  }

 private:
  const NpzSamples& samples_;
  int64_t next_ = 0;
};

}  // namespace

void write_npz(const std::filesystem::path& path, const NpzSamples& samples) {
  DDPM_CHECK(samples.labels.empty() || static_cast<int64_t>(samples.labels.size()) == samples.count);
  ZipWriter zip(path);
  zip.add_pieces("arr_0.npy", ImagePieces(samples));
  if (!samples.labels.empty())
    zip.add("arr_1.npy", [&] {
      return npy_bytes<int32_t>(samples.labels,
                                std::vector<int64_t>{static_cast<int64_t>(samples.labels.size())});
    });
  zip.commit();
}

}  // namespace ddpm
