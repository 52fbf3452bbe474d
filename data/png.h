// PNG through libpng.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/image.h"

namespace ddpm {

// A PNG file's bytes, 8 bits a channel, without an alpha channel.
std::vector<uint8_t> encode_png(const ImageView& image);

void write_png(const std::filesystem::path& path, const ImageView& image);

// Grey PNGs come back with one channel, all others as RGB; transparency is dropped, 16 bits become 8. Bytes
// that are no PNG or are damaged are an InputError that starts with `name`.
Image decode_png(std::span<const uint8_t> bytes, const std::string& name);

Image read_png(const std::filesystem::path& path);

}  // namespace ddpm
