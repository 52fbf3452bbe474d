#include "data/mnist.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "support/error.h"

namespace ddpm {
namespace {

namespace fs = std::filesystem;

constexpr int kPaddedSide = 32;

struct CloseGzip {
  void operator()(gzFile_s* file) const { gzclose(file); }
};

// The content of a file, inflated if it is gzip.
std::vector<uint8_t> read_gzip(const fs::path& path) {
  const std::unique_ptr<gzFile_s, CloseGzip> file(gzopen(path.c_str(), "rb"));
  if (file == nullptr) throw_input("cannot open {}: check that it can be read", path.string());
  constexpr unsigned kStep = 1 << 16;
  std::vector<uint8_t> bytes;
  size_t size = 0;
  for (int got = 1; got > 0; size += static_cast<size_t>(got)) {
    bytes.resize(size + kStep);
    got = gzread(file.get(), bytes.data() + size, kStep);
    int code = Z_OK;
    const char* reason = gzerror(file.get(), &code);
    // A truncated gzip file yields what it has and then Z_BUF_ERROR.
    if (got < 0 || code != Z_OK) throw_input("{}: is damaged ({}): download it again", path.string(), reason);
  }
  bytes.resize(size);
  return bytes;
}

// An idx file: two zero bytes, the type (8: uint8), the number of dimensions, each size as 32 bits
// big-endian, then the data.
struct Idx {
  std::vector<int64_t> shape;
  std::vector<uint8_t> bytes;
  size_t data_offset = 0;
};

Idx read_idx(const fs::path& path, int dimensions) {
  Idx idx{{}, read_gzip(path), static_cast<size_t>(4 + 4 * dimensions)};
  const std::vector<uint8_t>& bytes = idx.bytes;
  if (bytes.size() < idx.data_offset || bytes[0] != 0 || bytes[1] != 0 || bytes[2] != 8 ||
      bytes[3] != dimensions)
    throw_input("{}: is not an idx file of bytes with {} dimension{}: download it again", path.string(),
                dimensions, dimensions == 1 ? "" : "s");
  uint64_t promised = 1;
  for (int d = 0; d < dimensions; ++d) {
    int64_t extent = 0;
    for (int k = 0; k < 4; ++k) extent = extent << 8 | bytes[4 + 4 * d + k];
    idx.shape.push_back(extent);
    if (__builtin_mul_overflow(promised, static_cast<uint64_t>(extent), &promised)) promised = UINT64_MAX;
  }
  if (promised != bytes.size() - idx.data_offset)
    throw_input("{}: its header claims {} bytes of data, but it has {}: download it again", path.string(),
                promised, bytes.size() - idx.data_offset);
  return idx;
}

fs::path find_file(const fs::path& folder, const std::string& name) {
  for (const std::string& candidate : {name, name + ".gz"})
    if (fs::exists(folder / candidate)) return folder / candidate;
  throw_input("{}: has neither {} nor {}.gz: pass the folder of MNIST's files", folder.string(), name, name);
}

class Mnist : public ImageSource {
 public:
  Mnist(const fs::path& folder, Split split, MnistPadding padding) : split_(split), padding_(padding) {
    if (split == Split::kValidation) throw_input("MNIST has no validation split: choose train, test or all");
    labels_.kind = LabelKind::kClasses;
    for (int digit = 0; digit < 10; ++digit) labels_.names.push_back(fmt::format("{}", digit));
    if (split != Split::kTest) add_part(folder, "train");
    if (split != Split::kTrain) add_part(folder, "t10k");
  }

  std::string name() const override { return "mnist"; }
  std::string split() const override { return std::string(split_name(split_)); }
  SourceDefaults defaults() const override { return mnist_defaults(padding_); }
  int64_t count() const override { return static_cast<int64_t>(labels_.classes.size()); }
  const Labels& labels() const override { return labels_; }
  std::unique_ptr<ImageReader> open_reader() const override;

  Image decode(int64_t i) const {
    const size_t size = static_cast<size_t>(height_) * width_;
    const ImageView stored(pixels_.data() + static_cast<size_t>(i) * size, width_, height_, 1);
    if (padding_ == MnistPadding::kNone) return copy(stored);
    Image padded(kPaddedSide, kPaddedSide, 1);
    const int top = (kPaddedSide - height_) / 2;
    const int left = (kPaddedSide - width_) / 2;
    for (int y = 0; y < height_; ++y) std::copy_n(stored.row(y), width_, padded.row(top + y) + left);
    return padded;
  }

 private:
  void add_part(const fs::path& folder, const std::string& part) {
    const fs::path image_path = find_file(folder, part + "-images-idx3-ubyte");
    const fs::path label_path = find_file(folder, part + "-labels-idx1-ubyte");
    const Idx images = read_idx(image_path, 3);
    const Idx classes = read_idx(label_path, 1);
    check_shapes(images, image_path, classes, label_path);
    height_ = static_cast<int>(images.shape[1]);
    width_ = static_cast<int>(images.shape[2]);
    pixels_.insert(pixels_.end(), images.bytes.begin() + static_cast<std::ptrdiff_t>(images.data_offset),
                   images.bytes.end());
    for (size_t at = classes.data_offset; at < classes.bytes.size(); ++at) {
      if (classes.bytes[at] > 9)
        throw_input("{}: label {} is {}, expected 0 to 9: download it again", label_path.string(),
                    at - classes.data_offset, classes.bytes[at]);
      labels_.classes.push_back(classes.bytes[at]);
    }
  }

  void check_shapes(const Idx& images, const fs::path& image_path, const Idx& classes,
                    const fs::path& label_path) const {
    if (images.shape[0] != classes.shape[0])
      throw_input("{} has {} images, {} has {} labels: use files that belong together", image_path.string(),
                  images.shape[0], label_path.string(), classes.shape[0]);
    const int64_t rows = images.shape[1];
    const int64_t columns = images.shape[2];
    const bool differs = height_ > 0 && (rows != height_ || columns != width_);
    if (rows < 1 || columns < 1 || rows > 4096 || columns > 4096 || differs)
      throw_input("{}: images of {}x{} are not MNIST's: download it again", image_path.string(), columns,
                  rows);
    if (padding_ == MnistPadding::kTo32 && (rows > kPaddedSide || columns > kPaddedSide))
      throw_input("{}: images of {}x{} do not fit into 32x32: drop --pad", image_path.string(), columns,
                  rows);
  }

  Split split_;
  MnistPadding padding_;
  int height_ = 0;
  int width_ = 0;
  std::vector<uint8_t> pixels_;  // (N, H, W)
  Labels labels_;
};

class MnistReader : public ImageReader {
 public:
  explicit MnistReader(const Mnist& source) : source_(source) {}
  Image read(int64_t i) override { return source_.decode(i); }

 private:
  const Mnist& source_;
};

std::unique_ptr<ImageReader> Mnist::open_reader() const { return std::make_unique<MnistReader>(*this); }

}  // namespace

std::unique_ptr<ImageSource> open_mnist(const fs::path& path, Split split, MnistPadding padding) {
  return std::make_unique<Mnist>(path, split, padding);
}

}  // namespace ddpm
