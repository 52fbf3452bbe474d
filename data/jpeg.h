// JPEG: read through libjpeg-turbo's TurboJPEG interface, which reports errors without long jumps; written
// through libjpeg's own, which alone can fit its code tables to an image.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/image.h"

namespace ddpm {

// One decoder per thread. The arithmetic (accurate integer DCT, smooth chroma upsampling) is Pillow's
// default.
class JpegDecoder {
 public:
  JpegDecoder();

  // The image as RGB, grey ones too. Bytes that are no JPEG, are truncated or damaged, or hold a CMYK image
  // are an InputError that starts with `name`.
  Image decode(std::span<const uint8_t> bytes, const std::string& name);

 private:
  struct Destroy {
    void operator()(void* handle) const;
  };
  std::unique_ptr<void, Destroy> handle_;
};

// How finely color is kept.
enum class JpegChroma : uint8_t {
  kHalved,  // 4:2:0, one value for 2x2 pixels, as in photographs
  kFull,    // 4:4:4
};
// "4:2:0" or "4:4:4"; InputError for other texts.
JpegChroma jpeg_chroma_from_name(const std::string& name);

// A JPEG file's bytes; quality 1..100. The Huffman tables are made for the image: of 64x64 pixels the
// standard ones would be a sixth of the file.
std::vector<uint8_t> encode_jpeg(const ImageView& image, int quality,
                                 JpegChroma chroma = JpegChroma::kHalved);

}  // namespace ddpm
