// A folder or a zip archive of images.
#pragma once

#include <filesystem>
#include <memory>

#include "data/image_source.h"

namespace ddpm {

inline constexpr SourceDefaults kFolderDefaults{.crop = Crop::kCenter, .size = 64};

// kSubfolder: the top-level subfolder names the class; InputError for an image outside of one.
enum class FolderClasses { kNone, kSubfolder };

// Every .png, .jpg and .jpeg file in the folder and its subfolders or in the zip archive, ordered by name.
// With kNone the labels are those stored by data/image_archive.h, if any. InputError if there are no images
// or their number differs from that of the labels.
std::unique_ptr<ImageSource> open_image_folder(const std::filesystem::path& input,
                                               FolderClasses classes = FolderClasses::kNone);

}  // namespace ddpm
