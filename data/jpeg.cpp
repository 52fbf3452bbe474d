#include "data/jpeg.h"

#include <turbojpeg.h>

#include <string_view>

#include "support/error.h"

namespace ddpm {
namespace {

// Refuses headers that promise more than any photograph holds, before memory is taken for them.
constexpr int64_t kMaxPixels = int64_t{1} << 27;

[[noreturn]] void fail(const std::string& name, std::string_view reason) {
  throw_input("{}: cannot be decoded as JPEG ({}): restore the file from its source or leave it out", name,
              reason);
}

void destroy(void* handle) {
  if (handle != nullptr) tjDestroy(handle);
}

}  // namespace

void JpegDecoder::Destroy::operator()(void* handle) const { destroy(handle); }

JpegDecoder::JpegDecoder() : handle_(tjInitDecompress()) { DDPM_CHECK(handle_ != nullptr); }

Image JpegDecoder::decode(std::span<const uint8_t> bytes, const std::string& name) {
  int width = 0;
  int height = 0;
  int subsampling = 0;
  int colorspace = 0;
  if (bytes.empty()) fail(name, "it is empty");
  if (tjDecompressHeader3(handle_.get(), bytes.data(), bytes.size(), &width, &height, &subsampling,
                          &colorspace) != 0)
    fail(name, tjGetErrorStr2(handle_.get()));
  if (colorspace == TJCS_CMYK || colorspace == TJCS_YCCK) fail(name, "CMYK images are not supported");
  if (int64_t{width} * height > kMaxPixels)
    fail(name, fmt::format("its header claims {}x{} pixels", width, height));
  Image image(width, height, 3);
  // A warning counts as a failure: TurboJPEG warns where the data end early and paints the rest grey. More
  // scans than any encoder writes are refused: each costs a pass over the image, and a few bytes can ask for
  // thousands.
  if (tjDecompress2(handle_.get(), bytes.data(), bytes.size(), image.pixels.data(), width, 0, height,
                    TJPF_RGB, TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS) != 0)
    fail(name, tjGetErrorStr2(handle_.get()));
  return image;
}

std::vector<uint8_t> encode_jpeg(const Image& image, int quality) {
  const std::unique_ptr<void, void (*)(void*)> handle(tjInitCompress(), destroy);
  DDPM_CHECK(handle != nullptr);
  const int subsampling = image.channels == 3 ? TJSAMP_420 : TJSAMP_GRAY;
  const int format = image.channels == 3 ? TJPF_RGB : TJPF_GRAY;
  std::vector<uint8_t> bytes(tjBufSize(image.width, image.height, subsampling));
  unsigned char* buffer = bytes.data();
  unsigned long size = bytes.size();
  const int status = tjCompress2(handle.get(), image.pixels.data(), image.width, 0, image.height, format,
                                 &buffer, &size, subsampling, quality, TJFLAG_ACCURATEDCT | TJFLAG_NOREALLOC);
  DDPM_CHECK(status == 0);
  bytes.resize(size);
  return bytes;
}

}  // namespace ddpm
