// Readers of JPEG and PNG files in a folder or a zip archive.
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

// Whether the name ends in .jpg, .jpeg or .png, in upper or lower case.
bool has_image_extension(const std::filesystem::path& name);

// The image files in a folder and its subfolders, as relative paths, sorted bytewise so that the order is the
// same on every machine.
std::vector<std::filesystem::path> list_image_files(const std::filesystem::path& folder);

// Decodes JPEG and PNG, told apart by the first bytes rather than by the name.
class ImageDecoder {
 public:
  Image decode(std::span<const uint8_t> bytes, const std::string& name);

 private:
  JpegDecoder jpeg_;
};

// Reads the files `names` in `folder`, by index.
std::unique_ptr<ImageReader> open_folder_reader(const std::filesystem::path& folder,
                                                const std::vector<std::filesystem::path>& names);

// Reads the archive's members `indices`, by index into `indices`, through its own handle.
std::unique_ptr<ImageReader> open_zip_reader(const std::filesystem::path& archive,
                                             const std::vector<int64_t>& indices);

}  // namespace ddpm
