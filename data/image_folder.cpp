#include "data/image_folder.h"

#include <algorithm>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "data/dataset_card.h"
#include "data/image_files.h"
#include "support/atomic_file.h"
#include "support/error.h"

namespace ddpm {
namespace {

namespace fs = std::filesystem;

Labels subfolder_classes(const std::vector<fs::path>& names, const fs::path& folder) {
  std::set<std::string> classes;
  for (const fs::path& name : names) {
    if (!name.has_parent_path())
      throw_input("{}: is not in a subfolder and so has no class: move it into one or drop --classes",
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

constexpr const char* kLabels = "labels.npy";
constexpr const char* kCard = "card.json";

void check_found(size_t images, const fs::path& input) {
  if (images == 0)
    throw_input("{}: has no .png, .jpg or .jpeg files: pass the folder or the zip archive of the images",
                input.string());
}

// The labels that data/image_archive.h stored, one per image.
Labels stored_labels(std::span<const uint8_t> labels_file, const std::string& card, size_t images,
                     const fs::path& input) {
  Labels labels =
      parse_labels(labels_file, input / kLabels, parse_dataset_card(card, input / kCard).label_names);
  if (labels.count() != static_cast<int64_t>(images))
    throw_input("{}: has {} labels for {} images: restore the images or remove this file",
                (input / kLabels).string(), labels.count(), images);
  return labels;
}

class ImageFolder : public ImageSource {
 public:
  ImageFolder(fs::path folder, FolderClasses classes)
      : folder_(std::move(folder)), names_(list_image_files(folder_)) {
    check_found(names_.size(), folder_);
    if (classes == FolderClasses::kSubfolder) {
      labels_ = subfolder_classes(names_, folder_);
    } else if (fs::exists(folder_ / kLabels) && fs::exists(folder_ / kCard)) {
      const std::string bytes = read_file(folder_ / kLabels);
      labels_ = stored_labels(byte_view(bytes), read_file(folder_ / kCard), names_.size(), folder_);
    }
  }

  std::string name() const override { return "folder"; }
  SourceDefaults defaults() const override { return kFolderDefaults; }
  int64_t count() const override { return static_cast<int64_t>(names_.size()); }
  const Labels& labels() const override { return labels_; }
  std::unique_ptr<ImageReader> open_reader() const override { return open_folder_reader(folder_, names_); }

 private:
  fs::path folder_;
  std::vector<fs::path> names_;
  Labels labels_;
};

// The same from a zip archive.
class ImageArchive : public ImageSource {
 public:
  ImageArchive(fs::path archive, FolderClasses classes) : archive_(std::move(archive)) {
    const ZipReader zip(archive_);
    const std::vector<fs::path> names = list_members(zip);
    check_found(names.size(), archive_);
    if (classes == FolderClasses::kSubfolder) {
      labels_ = subfolder_classes(names, archive_);
    } else if (labels_member_ && card_member_) {
      const std::vector<uint8_t> card = zip.read(*card_member_);
      labels_ = stored_labels(zip.read(*labels_member_), {card.begin(), card.end()}, names.size(), archive_);
    }
  }

  std::string name() const override { return "folder"; }
  SourceDefaults defaults() const override { return kFolderDefaults; }
  int64_t count() const override { return static_cast<int64_t>(members_.size()); }
  const Labels& labels() const override { return labels_; }
  std::unique_ptr<ImageReader> open_reader() const override { return open_zip_reader(archive_, members_); }

 private:
  // The image names, sorted like a folder's; also records their members and those of labels and card.
  std::vector<fs::path> list_members(const ZipReader& zip) {
    std::vector<std::pair<std::string, int64_t>> found;
    for (int64_t i = 0; i < zip.count(); ++i) {
      std::string name = zip.name(i);
      if (name == kLabels) labels_member_ = i;
      if (name == kCard) card_member_ = i;
      // macOS adds a companion to each file in an archive, with the same extension.
      if (has_image_extension(name) && !name.starts_with("__MACOSX/")) found.emplace_back(std::move(name), i);
    }
    std::sort(found.begin(), found.end());
    std::vector<fs::path> names;
    for (auto& [name, member] : found) {
      names.emplace_back(std::move(name));
      members_.push_back(member);
    }
    return names;
  }

  fs::path archive_;
  std::vector<int64_t> members_;
  std::optional<int64_t> labels_member_, card_member_;
  Labels labels_;
};

}  // namespace

std::unique_ptr<ImageSource> open_image_folder(const fs::path& input, FolderClasses classes) {
  if (fs::is_regular_file(input)) return std::make_unique<ImageArchive>(input, classes);
  return std::make_unique<ImageFolder>(input, classes);
}

}  // namespace ddpm
