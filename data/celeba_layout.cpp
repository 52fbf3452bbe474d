#include "data/celeba_layout.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "data/crop.h"
#include "data/jpeg.h"
#include "data/ordered_workers.h"
#include "data/synthetic_faces.h"
#include "data/zip_writer.h"
#include "support/atomic_file.h"
#include "support/error.h"

namespace ddpm {
namespace {

// The center and half the side of crop `ddim`: rows 57 to 185, columns 25 to 153.
constexpr FaceFrame kFrame = {89, 121, 64};
constexpr int kJpegQuality = 92;

constexpr std::array<const char*, 40> kCelebaAttributes = {"5_o_Clock_Shadow",
                                                           "Arched_Eyebrows",
                                                           "Attractive",
                                                           "Bags_Under_Eyes",
                                                           "Bald",
                                                           "Bangs",
                                                           "Big_Lips",
                                                           "Big_Nose",
                                                           "Black_Hair",
                                                           "Blond_Hair",
                                                           "Blurry",
                                                           "Brown_Hair",
                                                           "Bushy_Eyebrows",
                                                           "Chubby",
                                                           "Double_Chin",
                                                           "Eyeglasses",
                                                           "Goatee",
                                                           "Gray_Hair",
                                                           "Heavy_Makeup",
                                                           "High_Cheekbones",
                                                           "Male",
                                                           "Mouth_Slightly_Open",
                                                           "Mustache",
                                                           "Narrow_Eyes",
                                                           "No_Beard",
                                                           "Oval_Face",
                                                           "Pale_Skin",
                                                           "Pointy_Nose",
                                                           "Receding_Hairline",
                                                           "Rosy_Cheeks",
                                                           "Sideburns",
                                                           "Smiling",
                                                           "Straight_Hair",
                                                           "Wavy_Hair",
                                                           "Wearing_Earrings",
                                                           "Wearing_Hat",
                                                           "Wearing_Lipstick",
                                                           "Wearing_Necklace",
                                                           "Wearing_Necktie",
                                                           "Young"};

std::string file_name(int64_t i) { return fmt::format("{:06}.jpg", i + 1); }

std::string partition_text(int64_t count) {
  std::string text;
  for (int64_t i = 0; i < count; ++i) {
    const int part = 10 * i < 8 * count ? 0 : 10 * i < 9 * count ? 1 : 2;
    text += fmt::format("{} {}\n", file_name(i), part);
  }
  return text;
}

std::string attribute_text(const CelebaLayoutOptions& options) {
  std::string text = fmt::format("{}\n", options.count);
  for (const char* name : kCelebaAttributes) text += fmt::format("{} ", name);
  text += '\n';
  // For each of CelebA's attributes, its index among ours, or -1.
  const std::vector<std::string>& ours = synthetic_face_attributes();
  std::array<int64_t, kCelebaAttributes.size()> place{};
  for (size_t k = 0; k < place.size(); ++k) {
    const auto found = std::find(ours.begin(), ours.end(), kCelebaAttributes[k]);
    place[k] = found == ours.end() ? -1 : found - ours.begin();
  }
  for (int64_t i = 0; i < options.count; ++i) {
    const std::vector<uint8_t> values = synthetic_face_labels(options.seed, i);
    text += file_name(i);
    for (const int64_t at : place) text += at >= 0 && values[static_cast<size_t>(at)] != 0 ? "  1" : " -1";
    text += '\n';
  }
  return text;
}

}  // namespace

void write_celeba_layout(const CelebaLayoutOptions& options, const std::filesystem::path& folder,
                         const PrepareProgress& progress) {
  constexpr int64_t kMaxCount = 999'999;  // six digits name an image
  if (options.count < 1 || options.count > kMaxCount)
    throw_input("CelebA's layout cannot hold {} faces: choose a count of 1 to {}", options.count, kMaxCount);
  create_folder(folder);
  using Bytes = std::vector<uint8_t>;
  OrderedWorkers<Bytes> workers(options.count, thread_count(options.threads), [&options] {
    return [&options](int64_t i) {
      const Image face = draw_synthetic_face(options.seed, i, kCelebaWidth, kCelebaHeight, kFrame);
      return encode_jpeg(face, kJpegQuality);
    };
  });
  ZipWriter zip(folder / "img_align_celeba.zip");
  int64_t done = 0;
  for (int64_t i = 0; i < options.count; ++i)
    zip.add("img_align_celeba/" + file_name(i), [&] {
      Bytes bytes = workers.next();
      report_progress(progress, ++done, options.count);
      return bytes;
    });
  zip.commit();
  write_file_atomically(folder / "list_eval_partition.txt", partition_text(options.count));
  write_file_atomically(folder / "list_attr_celeba.txt", attribute_text(options));
}

}  // namespace ddpm
