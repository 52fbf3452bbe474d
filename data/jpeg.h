// JPEG through libjpeg-turbo's TurboJPEG interface, which reports errors without long jumps.
// Depends on data/image.h and support/.
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

// A JPEG file's bytes; quality 1..100, chroma subsampled 2x2 as photographs are.
std::vector<uint8_t> encode_jpeg(const Image& image, int quality);

}  // namespace ddpm
