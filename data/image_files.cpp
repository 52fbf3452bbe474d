#include "data/image_files.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <system_error>

#include "data/png.h"
#include "support/atomic_file.h"
#include "support/error.h"

namespace ddpm {
namespace {

constexpr std::string_view kPngStart = "\x89PNG";

// `names` and `indices` are owned by the source, which outlives its readers.
class FolderReader : public ImageReader {
 public:
  FolderReader(std::filesystem::path folder, const std::vector<std::filesystem::path>& names)
      : folder_(std::move(folder)), names_(names) {}

  Image read(int64_t i) override {
    const std::filesystem::path path = folder_ / names_.at(i);
    const std::string bytes = read_file(path);
    return decoder_.decode(byte_view(bytes), path.string());
  }

 private:
  std::filesystem::path folder_;
  const std::vector<std::filesystem::path>& names_;
  ImageDecoder decoder_;
};

class ZipMemberReader : public ImageReader {
 public:
  ZipMemberReader(const std::filesystem::path& archive, const std::vector<int64_t>& indices)
      : path_(archive), zip_(archive), indices_(indices) {}

  Image read(int64_t i) override {
    const int64_t member = indices_.at(i);
    return decoder_.decode(zip_.read(member), fmt::format("{}: {}", path_.string(), zip_.name(member)));
  }

 private:
  std::filesystem::path path_;
  ZipReader zip_;
  const std::vector<int64_t>& indices_;
  ImageDecoder decoder_;
};

}  // namespace

bool has_image_extension(const std::filesystem::path& name) {
  std::string extension = name.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

std::vector<std::filesystem::path> list_image_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> names;
  try {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
      if (entry.is_regular_file() && has_image_extension(entry.path()))
        names.push_back(entry.path().lexically_relative(folder));
  } catch (const std::filesystem::filesystem_error& error) {
    throw_input("cannot list the folder {}: {}; check the path", folder.string(), error.code().message());
  }
  std::sort(names.begin(), names.end(), [](const auto& a, const auto& b) { return a.native() < b.native(); });
  return names;
}

Image ImageDecoder::decode(std::span<const uint8_t> bytes, const std::string& name) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  return text.starts_with(kPngStart) ? decode_png(bytes, name) : jpeg_.decode(bytes, name);
}

std::unique_ptr<ImageReader> open_folder_reader(const std::filesystem::path& folder,
                                                const std::vector<std::filesystem::path>& names) {
  return std::make_unique<FolderReader>(folder, names);
}

std::unique_ptr<ImageReader> open_zip_reader(const std::filesystem::path& archive,
                                             const std::vector<int64_t>& indices) {
  return std::make_unique<ZipMemberReader>(archive, indices);
}

}  // namespace ddpm
