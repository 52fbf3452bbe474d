#include "data/cifar10.h"

#include <array>
#include <vector>

#include "support/error.h"
#include "support/mapped_file.h"

namespace ddpm {
namespace {

namespace fs = std::filesystem;

constexpr int kSide = 32;
constexpr int kPlaneBytes = kSide * kSide;
constexpr int kRecordBytes = 1 + 3 * kPlaneBytes;  // the label, then the red, green and blue planes
constexpr std::array<const char*, 10> kClasses = {"airplane", "automobile", "bird",  "cat",  "deer",
                                                  "dog",      "frog",       "horse", "ship", "truck"};

std::vector<fs::path> files_of_split(const fs::path& path, Split split) {
  if (!fs::is_directory(path)) return {path};
  std::vector<fs::path> files;
  const auto add = [&](const std::string& name) {
    if (fs::exists(path / name)) files.push_back(path / name);
  };
  if (split == Split::kTrain || split == Split::kAll)
    for (int i = 1; i <= 5; ++i) add(fmt::format("data_batch_{}.bin", i));
  if (split == Split::kTest || split == Split::kAll) add("test_batch.bin");
  if (files.empty())
    throw_input(
        "{}: has no CIFAR-10 batches of split '{}' (data_batch_1.bin to data_batch_5.bin, "
        "test_batch.bin): pass the folder of the binary version",
        path.string(), split_name(split));
  return files;
}

class Cifar10 : public ImageSource {
 public:
  Cifar10(const fs::path& path, Split split) : split_(split) {
    labels_.kind = LabelKind::kClasses;
    labels_.names.assign(kClasses.begin(), kClasses.end());
    for (const fs::path& file : files_of_split(path, split)) add_file(file);
  }

  std::string name() const override { return "cifar10"; }
  std::string split() const override { return std::string(split_name(split_)); }
  SourceDefaults defaults() const override { return kCifar10Defaults; }
  int64_t count() const override { return static_cast<int64_t>(records_.size()); }
  const Labels& labels() const override { return labels_; }
  std::unique_ptr<ImageReader> open_reader() const override;

  // Interleaves the three planes.
  Image decode(int64_t i) const {
    Image image(kSide, kSide, 3);
    const uint8_t* planes = records_.at(i) + 1;
    for (int p = 0; p < kPlaneBytes; ++p)
      for (int c = 0; c < 3; ++c) image.pixels[3 * p + c] = planes[c * kPlaneBytes + p];
    return image;
  }

 private:
  void add_file(const fs::path& path) {
    files_.emplace_back(path);
    const std::span<const uint8_t> bytes = files_.back().bytes();
    if (bytes.empty() || bytes.size() % kRecordBytes != 0)
      throw_input(
          "{}: its {} bytes are not a multiple of a CIFAR-10 record's {}: download the binary version again",
          path.string(), bytes.size(), kRecordBytes);
    for (size_t at = 0; at < bytes.size(); at += kRecordBytes) {
      if (bytes[at] >= kClasses.size())
        throw_input("{}: record {} has label {}, expected 0 to 9: download the binary version again",
                    path.string(), at / kRecordBytes, bytes[at]);
      records_.push_back(bytes.data() + at);
      labels_.classes.push_back(bytes[at]);
    }
  }

  Split split_;
  std::vector<MappedFile> files_;
  std::vector<const uint8_t*> records_;
  Labels labels_;
};

class Cifar10Reader : public ImageReader {
 public:
  explicit Cifar10Reader(const Cifar10& source) : source_(source) {}
  Image read(int64_t i) override { return source_.decode(i); }

 private:
  const Cifar10& source_;
};

std::unique_ptr<ImageReader> Cifar10::open_reader() const { return std::make_unique<Cifar10Reader>(*this); }

}  // namespace

std::unique_ptr<ImageSource> open_cifar10(const fs::path& path, Split split) {
  return std::make_unique<Cifar10>(path, split);
}

}  // namespace ddpm
