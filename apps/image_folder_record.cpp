#include "apps/image_folder_record.h"

#include <algorithm>

#include "support/atomic_file.h"
#include "support/error.h"

namespace ddpm {

namespace fs = std::filesystem;

fs::path record_path(const fs::path& images) {
  fs::path path = images.has_filename() ? images : images.parent_path();
  return path += ".json";
}

std::string image_file_name(int64_t i) { return fmt::format("{:06}.png", i); }

int64_t count_images(const fs::path& folder) {
  return std::count_if(fs::directory_iterator(folder), {},
                       [](const auto& entry) { return entry.path().extension() == ".png"; });
}

void claim_image_folder(const fs::path& folder, const std::string& record) {
  create_folder(folder);
  const fs::path path = record_path(folder);
  if (fs::exists(path)) {
    if (read_file(path) == record) return;
    if (!fs::is_empty(folder))
      throw_input("{} holds images made with other options (see {}): choose another folder", folder.string(),
                  path.string());
  } else if (!fs::is_empty(folder)) {
    throw_input("{} is not empty and has no record {}: choose another folder", folder.string(),
                path.string());
  }
  write_file_atomically(path, record);
}

}  // namespace ddpm
