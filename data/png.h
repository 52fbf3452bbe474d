// PNG through libpng.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/image.h"

namespace ddpm {

// The bytes of a PNG file with 8 bits per channel and no alpha.
std::vector<uint8_t> encode_png(const ImageView& image);

void write_png(const std::filesystem::path& path, const ImageView& image);

// Gray PNGs have one channel, all others are RGB; alpha is dropped, 16 bits become 8. InputError, starting
// with `name`, if the bytes are not a PNG or are damaged.
Image decode_png(std::span<const uint8_t> bytes, const std::string& name);

Image read_png(const std::filesystem::path& path);

}  // namespace ddpm
