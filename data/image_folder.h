// A folder of pictures. Depends on data/image_source.h, data/image_files.h and support/.
#pragma once

#include <filesystem>
#include <memory>

#include "data/image_source.h"

namespace ddpm {

// kSubfolder: the first folder below the root names the class; a picture outside one is an InputError.
enum class FolderClasses { kNone, kSubfolder };

// Every .png, .jpg and .jpeg of the folder and the folders below it, in the order of their names. A folder
// without one is an InputError.
std::unique_ptr<ImageSource> open_image_folder(const std::filesystem::path& folder,
                                               FolderClasses classes = FolderClasses::kNone);

}  // namespace ddpm
