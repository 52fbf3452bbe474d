// Image files by name, whether they lie in a folder or in a zip archive.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/image_source.h"
#include "data/jpeg.h"
#include "data/zip_reader.h"

namespace ddpm {

// Whether the name ends, in either case, in .jpg, .jpeg or .png.
bool has_image_extension(const std::filesystem::path& name);

// The image files of a folder and the folders below it, relative to it, sorted by their bytes so that the
// order is the same on every machine.
std::vector<std::filesystem::path> list_image_files(const std::filesystem::path& folder);

// Reads one of the two formats, told by the first bytes and not by the name.
class ImageDecoder {
 public:
  Image decode(std::span<const uint8_t> bytes, const std::string& name);

 private:
  JpegDecoder jpeg_;
};

// Reads the files `names` of `folder`, by index.
std::unique_ptr<ImageReader> open_folder_reader(const std::filesystem::path& folder,
                                                const std::vector<std::filesystem::path>& names);

// Reads the members `indices` of the archive, by index into `indices`, through a handle of its own.
std::unique_ptr<ImageReader> open_zip_reader(const std::filesystem::path& archive,
                                             const std::vector<int64_t>& indices);

}  // namespace ddpm
