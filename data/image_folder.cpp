#include "data/image_folder.h"

#include <algorithm>
#include <set>
#include <vector>

#include "data/image_files.h"
#include "support/error.h"

namespace ddpm {
namespace {

namespace fs = std::filesystem;

Labels subfolder_classes(const std::vector<fs::path>& names, const fs::path& folder) {
  std::set<std::string> classes;
  for (const fs::path& name : names) {
    if (!name.has_parent_path())
      throw_input("{}: lies in no subfolder, so it has no class: move it into one or leave the classes out",
                  (folder / name).string());
    classes.insert(name.begin()->string());
  }
  Labels labels;
  labels.kind = LabelKind::kClasses;
  labels.names.assign(classes.begin(), classes.end());
  for (const fs::path& name : names)
    labels.classes.push_back(
        static_cast<int32_t>(std::distance(classes.begin(), classes.find(name.begin()->string()))));
  return labels;
}

class ImageFolder : public ImageSource {
 public:
  ImageFolder(fs::path folder, FolderClasses classes)
      : folder_(std::move(folder)), names_(list_image_files(folder_)) {
    if (names_.empty())
      throw_input("{}: holds no .png, .jpg or .jpeg file: give the folder of the pictures", folder_.string());
    if (classes == FolderClasses::kSubfolder) labels_ = subfolder_classes(names_, folder_);
  }

  std::string name() const override { return "folder"; }
  int64_t count() const override { return static_cast<int64_t>(names_.size()); }
  const Labels& labels() const override { return labels_; }
  std::unique_ptr<ImageReader> open_reader() const override { return open_folder_reader(folder_, names_); }

 private:
  fs::path folder_;
  std::vector<fs::path> names_;
  Labels labels_;
};

}  // namespace

std::unique_ptr<ImageSource> open_image_folder(const fs::path& folder, FolderClasses classes) {
  return std::make_unique<ImageFolder>(folder, classes);
}

}  // namespace ddpm
