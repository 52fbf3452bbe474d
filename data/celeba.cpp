#include "data/celeba.h"

#include <algorithm>
#include <map>
#include <unordered_map>
#include <utility>
#include <vector>

#include "data/celeba_lists.h"
#include "data/image_files.h"
#include "data/zip_reader.h"
#include "support/error.h"

namespace ddpm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kArchiveName = "img_align_celeba.zip";
constexpr const char* kFolderName = "img_align_celeba";

// The archive or the folder of JPEGs that the user's path refers to.
fs::path resolve_images(const fs::path& path) {
  if (!fs::exists(path))
    throw_input("cannot find {}: pass the path of {} or its folder", path.string(), kArchiveName);
  if (!fs::is_directory(path)) return path;
  if (fs::is_directory(path / kFolderName)) return path / kFolderName;
  if (fs::exists(path / kArchiveName)) return path / kArchiveName;
  return path;
}

// Next to the images: for the unpacked folder that is its parent, unless the lists are among the images.
fs::path resolve_annotations(const CelebaOptions& options, const fs::path& images) {
  if (!options.annotations.empty()) return options.annotations;
  const fs::path inside = fs::is_directory(images) ? images : images.parent_path();
  return fs::exists(inside / "list_eval_partition.txt") ? inside : fs::absolute(images).parent_path();
}

// File names such as 000001.jpg with their index into the archive's directory or the folder's files.
struct ImageLocations {
  std::map<std::string, int64_t> index_of_name;
  std::vector<fs::path> files;  // empty for an archive
};

ImageLocations locate_in_archive(const fs::path& archive) {
  const ZipReader zip(archive);
  ImageLocations locations;
  for (int64_t i = 0; i < zip.count(); ++i) {
    const fs::path name = zip.name(i);
    if (has_image_extension(name)) locations.index_of_name[name.filename().string()] = i;
  }
  return locations;
}

ImageLocations locate_in_folder(const fs::path& folder) {
  ImageLocations locations;
  locations.files = list_image_files(folder);
  for (size_t i = 0; i < locations.files.size(); ++i)
    locations.index_of_name[locations.files[i].filename().string()] = static_cast<int64_t>(i);
  return locations;
}

std::vector<std::string> names_of_split(const ImageLocations& locations, const fs::path& partition_file,
                                        Split split, const fs::path& images) {
  std::vector<std::string> names;
  if (split == Split::kAll) {
    for (const auto& [name, index] : locations.index_of_name) names.push_back(name);
    return names;
  }
  CelebaPartition partition = read_celeba_partition(partition_file);
  for (size_t i = 0; i < partition.names.size(); ++i)
    if (partition.parts[i] == static_cast<int>(split)) names.push_back(partition.names[i]);
  if (names.empty())
    throw_input("{}: lists no images of split '{}': choose another split", partition_file.string(),
                split_name(split));
  std::sort(partition.names.begin(), partition.names.end());
  for (const auto& [name, index] : locations.index_of_name)
    if (!std::binary_search(partition.names.begin(), partition.names.end(), name))
      throw_input("{}: does not list {}, which is in {}: use the partition file that belongs to these images",
                  partition_file.string(), name, images.string());
  return names;
}

Labels labels_of(const std::vector<std::string>& names, const fs::path& attribute_file) {
  if (!fs::exists(attribute_file)) return {};
  CelebaAttributes table = read_celeba_attributes(attribute_file);
  std::unordered_map<std::string_view, size_t> row_of_name;
  for (size_t i = 0; i < table.names.size(); ++i) row_of_name[table.names[i]] = i;
  Labels labels;
  labels.kind = LabelKind::kAttributes;
  const size_t width = table.attributes.size();
  labels.attributes.reserve(names.size() * width);
  for (const std::string& name : names) {
    const auto row = row_of_name.find(name);
    if (row == row_of_name.end())
      throw_input("{}: has no row for {}: use the attribute file that belongs to these images",
                  attribute_file.string(), name);
    const auto first = table.values.begin() + static_cast<std::ptrdiff_t>(row->second * width);
    labels.attributes.insert(labels.attributes.end(), first, first + static_cast<std::ptrdiff_t>(width));
  }
  labels.names = std::move(table.attributes);
  return labels;
}

class Celeba : public ImageSource {
 public:
  explicit Celeba(const CelebaOptions& options)
      : images_(resolve_images(options.images)), split_(options.split) {
    ImageLocations locations =
        fs::is_directory(images_) ? locate_in_folder(images_) : locate_in_archive(images_);
    if (locations.index_of_name.empty())
      throw_input("{}: has no JPEG files: pass the path of {} or its folder", images_.string(), kArchiveName);
    const fs::path annotations = resolve_annotations(options, images_);
    const std::vector<std::string> names =
        names_of_split(locations, annotations / "list_eval_partition.txt", split_, images_);
    for (const std::string& name : names) {
      const auto found = locations.index_of_name.find(name);
      if (found == locations.index_of_name.end())
        throw_input("{}: lacks {}, which the partition file lists: download the images again",
                    images_.string(), name);
      if (fs::is_directory(images_))
        files_.push_back(locations.files[found->second]);
      else
        members_.push_back(found->second);
    }
    labels_ = labels_of(names, annotations / "list_attr_celeba.txt");
  }

  std::string name() const override { return "celeba"; }
  std::string split() const override { return std::string(split_name(split_)); }
  SourceDefaults defaults() const override { return kCelebaDefaults; }
  int64_t count() const override { return static_cast<int64_t>(files_.size() + members_.size()); }
  const Labels& labels() const override { return labels_; }
  std::unique_ptr<ImageReader> open_reader() const override {
    return members_.empty() ? open_folder_reader(images_, files_) : open_zip_reader(images_, members_);
  }

 private:
  fs::path images_;
  Split split_;
  std::vector<fs::path> files_;   // of a folder
  std::vector<int64_t> members_;  // of an archive
  Labels labels_;
};

}  // namespace

std::unique_ptr<ImageSource> open_celeba(const CelebaOptions& options) {
  return std::make_unique<Celeba>(options);
}

}  // namespace ddpm
