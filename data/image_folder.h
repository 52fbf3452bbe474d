// A folder of pictures, or a zip archive of them.
#pragma once

#include <filesystem>
#include <memory>

#include "data/image_source.h"

namespace ddpm {

// kSubfolder: the first folder below the root names the class; a picture outside one is an InputError.
enum class FolderClasses { kNone, kSubfolder };

// Every .png, .jpg and .jpeg of the folder and the folders below it, or of the zip archive, in the order of
// their names. With kNone the labels are those that data/image_archive.h stored beside the pictures, if it
// did. InputError where there is no picture, or another number of labels.
std::unique_ptr<ImageSource> open_image_folder(const std::filesystem::path& input,
                                               FolderClasses classes = FolderClasses::kNone);

}  // namespace ddpm
