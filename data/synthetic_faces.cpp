#include "data/synthetic_faces.h"

#include "data/canvas.h"
#include "data/face_painter.h"
#include "data/face_parameters.h"
#include "support/error.h"

namespace ddpm {
namespace {

class FaceReader : public ImageReader {
 public:
  explicit FaceReader(const SyntheticFacesOptions& options) : options_(options) {}
  Image read(int64_t i) override {
    const double half = 0.5 * options_.size;
    return draw_synthetic_face(options_.seed, i, options_.size, options_.size, {half, half, half});
  }

 private:
  SyntheticFacesOptions options_;
};

class SyntheticFaces : public ImageSource {
 public:
  explicit SyntheticFaces(const SyntheticFacesOptions& options) : options_(options) {
    labels_.kind = LabelKind::kAttributes;
    labels_.names = synthetic_face_attributes();
    for (int64_t i = 0; i < options.count; ++i) {
      const std::vector<uint8_t> values = synthetic_face_labels(options.seed, i);
      labels_.attributes.insert(labels_.attributes.end(), values.begin(), values.end());
    }
  }

  std::string name() const override { return "synthetic-faces"; }
  SourceDefaults defaults() const override { return {.crop = Crop::kNone, .size = options_.size}; }
  int64_t count() const override { return options_.count; }
  const Labels& labels() const override { return labels_; }
  std::unique_ptr<ImageReader> open_reader() const override { return std::make_unique<FaceReader>(options_); }

 private:
  SyntheticFacesOptions options_;
  Labels labels_;
};

}  // namespace

Image draw_synthetic_face(uint64_t seed, int64_t index, int width, int height, const FaceFrame& frame) {
  // The painter's unit, and its origin between eyes and nose, chosen so that head and hat fill the square.
  constexpr double kZoom = 1.13;
  constexpr double kDown = 0.05;
  Canvas canvas(width, height, {frame.center_x, frame.center_y + kDown * frame.half_side},
                kZoom * frame.half_side);
  paint_face(canvas, face_parameters(seed, index));
  return canvas.image();
}

const std::vector<std::string>& synthetic_face_attributes() { return face_attribute_names(); }

std::vector<uint8_t> synthetic_face_labels(uint64_t seed, int64_t index) {
  return face_attributes(face_parameters(seed, index));
}

std::unique_ptr<ImageSource> open_synthetic_faces(const SyntheticFacesOptions& options) {
  constexpr int64_t kMaxCount = 100'000'000;
  if (options.count < 1 || options.count > kMaxCount)
    throw_input("cannot draw {} synthetic faces: choose a count of 1 to {}", options.count, kMaxCount);
  if (options.size < 8 || options.size > 4096)
    throw_input("cannot draw faces of size {}: choose a size of 8 to 4096", options.size);
  return std::make_unique<SyntheticFaces>(options);
}

}  // namespace ddpm
