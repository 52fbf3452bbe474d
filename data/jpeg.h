// JPEG: decoded through libjpeg-turbo's TurboJPEG API, which reports errors without longjmp; encoded through
// the libjpeg API, the only one that can optimize the Huffman tables for an image.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/image.h"

namespace ddpm {

// One decoder per thread. The arithmetic (accurate integer DCT, smooth chroma upsampling)
// is Pillow's default.
class JpegDecoder {
 public:
  JpegDecoder();

  // The image as RGB, even if it is stored as gray. InputError, starting with `name`, if the bytes are not a
  // JPEG, are truncated or damaged, or hold a CMYK image.
  Image decode(std::span<const uint8_t> bytes, const std::string& name);

 private:
  struct Destroy {
    void operator()(void* handle) const;
  };
  std::unique_ptr<void, Destroy> handle_;
};

// Chroma subsampling.
enum class JpegChroma : uint8_t {
  kHalved,  // 4:2:0, one value per 2x2 pixels, as in photographs
  kFull,    // 4:4:4
};
// "4:2:0" or "4:4:4"; InputError for any other name.
JpegChroma jpeg_chroma_from_name(const std::string& name);

// The bytes of a JPEG file; quality 1 to 100. The Huffman tables are optimized for the image: for 64x64
// pixels the standard ones would take a sixth of the file.
std::vector<uint8_t> encode_jpeg(const ImageView& image, int quality,
                                 JpegChroma chroma = JpegChroma::kHalved);

}  // namespace ddpm
