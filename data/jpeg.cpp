#include "data/jpeg.h"

#include <turbojpeg.h>

#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include <jpeglib.h>  // wants <cstdio> before it

#include "support/error.h"

namespace ddpm {
namespace {

[[noreturn]] void fail(const std::string& name, std::string_view reason) {
  throw_input("{}: cannot be decoded as JPEG ({}): restore the file from its source or remove it", name,
              reason);
}

void destroy(void* handle) {
  if (handle != nullptr) tjDestroy(handle);
}

// ---- Encoding. libjpeg reports an error by calling a function that must not return.

struct JumpOnError {
  jpeg_error_mgr manager;
  std::jmp_buf caller;
};
[[noreturn]] void jump(j_common_ptr info) {
  std::longjmp(reinterpret_cast<JumpOnError*>(info->err)->caller, 1);  // the manager is its first member
}
void say_nothing(j_common_ptr) {}

// False if libjpeg failed. *bytes comes from malloc. No local needs a destructor: longjmp would skip it.
bool compress(const ImageView& image, int quality, JpegChroma chroma, unsigned char** bytes,
              unsigned long* size) {
  jpeg_compress_struct info;
  JumpOnError error;
  info.err = jpeg_std_error(&error.manager);
  error.manager.error_exit = jump;
  error.manager.output_message = say_nothing;
  if (setjmp(error.caller) != 0) {
    jpeg_destroy_compress(&info);
    return false;
  }
  jpeg_create_compress(&info);
  jpeg_mem_dest(&info, bytes, size);
  info.image_width = static_cast<JDIMENSION>(image.width);
  info.image_height = static_cast<JDIMENSION>(image.height);
  info.input_components = image.channels;
  info.in_color_space = image.channels == 3 ? JCS_RGB : JCS_GRAYSCALE;
  jpeg_set_defaults(&info);
  jpeg_set_quality(&info, quality, TRUE);
  info.dct_method = JDCT_ISLOW;
  info.optimize_coding = TRUE;
  // Luma samples per chroma sample.
  const int luma = image.channels == 3 && chroma == JpegChroma::kHalved ? 2 : 1;
  info.comp_info[0].h_samp_factor = info.comp_info[0].v_samp_factor = luma;
  jpeg_start_compress(&info, TRUE);
  for (int y = 0; y < image.height; ++y) {
    auto* row = const_cast<JSAMPROW>(image.row(y));
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  return true;
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
  if (int64_t{width} * height > kMaxImagePixels)
    fail(name, fmt::format("its header claims {}x{} pixels", width, height));
  Image image(width, height, 3);
  // Warnings count as failures: TurboJPEG warns if the data end early and paints the rest gray. More
  // scans than any encoder writes are refused, too: each costs a pass over the image, and a few bytes
  // can request thousands.
  if (tjDecompress2(handle_.get(), bytes.data(), bytes.size(), image.pixels.data(), width, 0, height,
                    TJPF_RGB, TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS) != 0)
    fail(name, tjGetErrorStr2(handle_.get()));
  return image;
}

JpegChroma jpeg_chroma_from_name(const std::string& name) {
  if (name == "4:2:0") return JpegChroma::kHalved;
  if (name == "4:4:4") return JpegChroma::kFull;
  throw_input("there is no chroma subsampling '{}': choose 4:4:4 or 4:2:0", name);
}

std::vector<uint8_t> encode_jpeg(const ImageView& image, int quality, JpegChroma chroma) {
  DDPM_CHECK(quality >= 1 && quality <= 100 && (image.channels == 1 || image.channels == 3));
  unsigned char* bytes = nullptr;
  unsigned long size = 0;
  const bool complete = compress(image, quality, chroma, &bytes, &size);
  const std::unique_ptr<unsigned char, void (*)(void*)> owner(bytes, std::free);
  DDPM_CHECK(complete);
  return {bytes, bytes + size};
}

}  // namespace ddpm
