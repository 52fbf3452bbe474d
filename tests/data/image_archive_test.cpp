// Data sets as archives of JPEG files: the round trip, and what is refused.
#include <gmock/gmock.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>

#include "data/image_archive.h"
#include "data/image_folder.h"
#include "data/resize.h"
#include "data/zip_reader.h"
#include "data/zip_writer.h"
#include "support/atomic_file.h"
#include "tests/data/pattern.h"
#include "tests/temporary_folder.h"

namespace ddpm {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

// ---- How far JPEG may be off

// The tables of ISO 10918-1, annex K, that every encoder scales by its quality.
constexpr std::array<int, 64> kLuma = {16, 11, 10, 16, 24,  40,  51,  61,  12, 12, 14, 19, 26,  58,  60,  55,
                                       14, 13, 16, 24, 40,  57,  69,  56,  14, 17, 22, 29, 51,  87,  80,  62,
                                       18, 22, 37, 56, 68,  109, 103, 77,  24, 35, 55, 64, 81,  104, 113, 92,
                                       49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99};
constexpr std::array<int, 64> kChroma = {17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
                                         24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
                                         99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
                                         99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99};

// The largest RMS error of a component's 8x8 block: each of its 64 coefficients is off by half a step of its
// table at most, and the transform is orthonormal. Add half a level each for the color conversion, for
// rounding the transform's result, and for fixed-point arithmetic.
double component_bound(const std::array<int, 64>& table, int quality) {
  const int scale = quality < 50 ? 5000 / quality : 200 - 2 * quality;
  double sum = 0;
  for (const int entry : table) {
    const double step = std::clamp((entry * scale + 50) / 100, 1, 255);
    sum += step * step / 4;
  }
  return std::sqrt(sum / 64) + 1.5;
}

// The bounds of red, green and blue, from R = Y + 1.402 Cr, G = Y - 0.344 Cb - 0.714 Cr, B = Y +
// 1.772 Cb, rounded.
std::array<double, 3> color_bounds(int quality) {
  const double luma = component_bound(kLuma, quality), chroma = component_bound(kChroma, quality);
  return {luma + 1.402 * chroma + 0.5, luma + 1.058 * chroma + 0.5, luma + 1.772 * chroma + 0.5};
}

double rms_difference(const Image& a, const Image& b, int channel) {
  double sum = 0;
  for (size_t i = static_cast<size_t>(channel); i < a.pixels.size(); i += 3) {
    const double difference = a.pixels[i] - b.pixels[i];
    sum += difference * difference;
  }
  return std::sqrt(3 * sum / static_cast<double>(a.pixels.size()));
}

Image decode(const std::vector<uint8_t>& jpeg) { return JpegDecoder().decode(jpeg, "test"); }

// An image with sharp colored edges that consists of whole blocks.
TEST(JpegEncoder, FullChromaStaysWithinTheQuantizationBound) {
  const Image image = pattern(64, 48, 3);
  for (const int quality : {20, 50, 75, 90, 95, 100}) {
    const Image back = decode(encode_jpeg(image, quality, JpegChroma::kFull));
    const std::array<double, 3> bounds = color_bounds(quality);
    for (int channel = 0; channel < 3; ++channel)
      EXPECT_LE(rms_difference(back, image, channel), bounds[static_cast<size_t>(channel)])
          << "quality " << quality << " channel " << channel;
  }
}

TEST(JpegEncoder, HigherQualityAndFullChromaAreCloserAndLarger) {
  const Image image = pattern(64, 48, 3);
  double last_error = std::numeric_limits<double>::infinity();
  size_t last_size = 0;
  for (const int quality : {20, 50, 75, 90, 100}) {
    const std::vector<uint8_t> full = encode_jpeg(image, quality, JpegChroma::kFull);
    const std::vector<uint8_t> halved = encode_jpeg(image, quality, JpegChroma::kHalved);
    const double error = rms_difference(decode(full), image, 0);
    EXPECT_LT(error, last_error) << quality;
    EXPECT_GT(full.size(), last_size) << quality;
    EXPECT_LT(halved.size(), full.size()) << quality;
    EXPECT_GT(rms_difference(decode(halved), image, 0), error) << quality;
    last_error = error;
    last_size = full.size();
  }
}

// The standard Huffman tables alone take 432 bytes.
TEST(JpegEncoder, OptimizesTheHuffmanTables) {
  EXPECT_LT(encode_jpeg(Image(64, 64, 3), 90, JpegChroma::kFull).size(), 432u);
}

TEST(JpegEncoder, RefusesUnknownChroma) {
  EXPECT_EQ(jpeg_chroma_from_name("4:2:0"), JpegChroma::kHalved);
  EXPECT_THAT(input_error([] { jpeg_chroma_from_name("4:1:1"); }), HasSubstr("'4:1:1'"));
}

// ---- Archives

Dataset dataset_of(int count, int side, int channels, Labels labels = {}) {
  std::vector<uint8_t> pixels;
  for (int i = 0; i < count; ++i) {
    // Smooth and distinct: two images differ by more than JPEG changes either.
    const Image image = resize(pattern(5 + i, 7, channels), side, side, Filter::kBicubic);
    pixels.insert(pixels.end(), image.pixels.begin(), image.pixels.end());
  }
  DatasetCard card{.source = "test",
                   .split = "train",
                   .crop = "ddim",
                   .filter = "bilinear",
                   .count = count,
                   .height = side,
                   .width = side,
                   .channels = channels,
                   .hash = {},
                   .label_kind = {},
                   .label_names = labels.names};
  return Dataset::from_pixels(std::move(pixels), card, std::move(labels));
}

Labels attributes_of(int count) {
  Labels labels{LabelKind::kAttributes, {"Smiling", "Hat"}, {}, {}};
  for (int i = 0; i < count; ++i) {
    labels.attributes.push_back(static_cast<uint8_t>(i % 2));
    labels.attributes.push_back(static_cast<uint8_t>(i % 3 == 0));
  }
  return labels;
}

TEST(ImageArchive, RoundTripsWithLabelsAndCard) {
  const TemporaryFolder folder;
  const fs::path zip = folder.path() / "faces.zip";
  constexpr int kCount = 12;
  const Dataset dataset = dataset_of(kCount, 16, 3, attributes_of(kCount));
  const ImageArchiveSummary summary = write_image_archive(dataset, {.threads = 3}, zip);
  EXPECT_EQ(summary.count, kCount);

  const auto source = open_image_folder(zip);
  ASSERT_EQ(source->count(), kCount);
  EXPECT_EQ(source->labels().names, dataset.labels().names);
  EXPECT_EQ(source->labels().attributes, dataset.labels().attributes);
  const auto reader = source->open_reader();
  const std::array<double, 3> bounds = color_bounds(95);
  double squares = 0;
  for (int i = 0; i < kCount; ++i) {
    const Image image = reader->read(i), given = copy(dataset.image(i));
    for (int channel = 0; channel < 3; ++channel) {
      const double error = rms_difference(image, given, channel);
      EXPECT_LE(error, bounds[static_cast<size_t>(channel)]) << i;
      squares += error * error;
    }
  }
  EXPECT_NEAR(summary.psnr, 10 * std::log10(255 * 255 * 3 * kCount / squares), 1e-9);

  const ZipReader archive(zip);
  ASSERT_EQ(archive.count(), kCount + 2);
  EXPECT_EQ(archive.name(0), "000000.jpg");
  EXPECT_EQ(archive.name(11), "000011.jpg");
  const std::vector<uint8_t> text = archive.read(kCount + 1);
  const DatasetCard card = parse_dataset_card({text.begin(), text.end()}, archive.name(kCount + 1));
  EXPECT_EQ(card.crop, "ddim");
  EXPECT_EQ(card.hash, dataset.hash()) << "of the pixels before JPEG";
}

TEST(ImageArchive, BytesDoNotDependOnThreads) {
  const TemporaryFolder folder;
  const Dataset dataset = dataset_of(40, 8, 3);
  write_image_archive(dataset, {.threads = 1}, folder.path() / "a.zip");
  write_image_archive(dataset, {.threads = 4}, folder.path() / "b.zip");
  EXPECT_EQ(read_file(folder.path() / "a.zip"), read_file(folder.path() / "b.zip"));
}

TEST(ImageArchive, LimitKeepsTheFirstImagesAndLabels) {
  const TemporaryFolder folder;
  Labels labels{LabelKind::kClasses, {"cat", "dog"}, {0, 1, 1, 0, 1}, {}};
  const Dataset dataset = dataset_of(5, 8, 3, labels);
  write_image_archive(dataset, {.limit = 3}, folder.path() / "a.zip");
  const auto source = open_image_folder(folder.path() / "a.zip");
  EXPECT_EQ(source->count(), 3);
  EXPECT_EQ(source->labels().classes, (std::vector<int32_t>{0, 1, 1}));
  EXPECT_EQ(source->labels().names, labels.names);
}

TEST(ImageArchive, GrayImagesStayGray) {
  const TemporaryFolder folder;
  const Dataset dataset = dataset_of(2, 16, 1);
  const ImageArchiveSummary summary = write_image_archive(dataset, {.quality = 100}, folder.path() / "a.zip");
  // At quality 100 all steps are 1, so component_bound() is 2 levels.
  EXPECT_GE(summary.psnr, 20 * std::log10(255 / component_bound(kLuma, 100)));
  const auto source = open_image_folder(folder.path() / "a.zip");
  const Image back = with_channels(source->open_reader()->read(1), 1);
  EXPECT_LE(largest_difference(back, copy(dataset.image(1))), 8);
  EXPECT_EQ(source->labels().kind, LabelKind::kNone);
}

TEST(ImageArchive, OptionsOutOfRangeAreErrorsAndWriteNothing) {
  const TemporaryFolder folder;
  const fs::path zip = folder.path() / "a.zip";
  const Dataset dataset = dataset_of(2, 8, 3);
  for (const int quality : {0, 101, -1})
    EXPECT_THAT(input_error([&] { write_image_archive(dataset, {.quality = quality}, zip); }),
                HasSubstr("choose 1 to 100"));
  EXPECT_THAT(input_error([&] { write_image_archive(dataset, {.limit = -1}, zip); }), HasSubstr("-1"));
  EXPECT_THAT(input_error([&] { write_image_archive(dataset, {.threads = -1}, zip); }), HasSubstr("-1"));
  EXPECT_THAT(
      input_error([&] { write_image_archive(dataset_of(1, 1, 3), {}, folder.path() / "none" / "a.zip"); }),
      HasSubstr("none/a.zip"));
  Dataset wide = Dataset::from_pixels(std::vector<uint8_t>(70000), {.source = "test",
                                                                    .split = {},
                                                                    .crop = {},
                                                                    .filter = {},
                                                                    .count = 1,
                                                                    .height = 1,
                                                                    .width = 70000,
                                                                    .channels = 1,
                                                                    .hash = {},
                                                                    .label_kind = {},
                                                                    .label_names = {}});
  EXPECT_THAT(input_error([&] { write_image_archive(wide, {}, zip); }), HasSubstr("65500"));
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(ImageArchive, StoppedEarlyLeavesTheEarlierFile) {
  const TemporaryFolder folder;
  write_file_atomically(folder.path() / "a.zip", "earlier");
  const Dataset dataset = dataset_of(5, 8, 3);
  EXPECT_THROW(write_image_archive(dataset, {}, folder.path() / "a.zip",
                                   [](int64_t done, int64_t) { return done < 3; }),
               PreparationStopped);
  EXPECT_EQ(read_file(folder.path() / "a.zip"), "earlier");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
}

// ---- Archives from elsewhere

class OtherArchives : public testing::Test {
 protected:
  void write(const std::vector<std::pair<std::string, std::vector<uint8_t>>>& members) const {
    ZipWriter zip(path_);
    for (const auto& [name, bytes] : members) zip.add(name, [&bytes] { return bytes; });
    zip.commit();
  }
  static std::vector<uint8_t> bytes(const std::string& text) { return {text.begin(), text.end()}; }

  TemporaryFolder folder_;
  fs::path path_ = folder_.path() / "pictures.zip";
};

TEST_F(OtherArchives, ReadInNameOrderWithSubfolderClasses) {
  write({{"dogs/", {}},
         {"dogs/a.JPG", encode_jpeg(pattern(16, 8, 3), 95)},
         {"__MACOSX/dogs/._a.JPG", bytes("not a picture")},
         {"cats/b.jpeg", encode_jpeg(pattern(24, 8, 3), 95)},
         {"notes.txt", bytes("no image")}});
  const auto source = open_image_folder(path_, FolderClasses::kSubfolder);
  ASSERT_EQ(source->count(), 2);
  EXPECT_EQ(source->labels().names, (std::vector<std::string>{"cats", "dogs"}));
  EXPECT_EQ(source->labels().classes, (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(source->open_reader()->read(0).width, 24);
  EXPECT_EQ(source->open_reader()->read(1).width, 16);
  EXPECT_EQ(open_image_folder(path_)->labels().kind, LabelKind::kNone);
}

TEST_F(OtherArchives, MissingOrBadPicturesAreErrors) {
  write({{"notes.txt", bytes("no image")}});
  EXPECT_THAT(input_error([&] { open_image_folder(path_); }), HasSubstr("has no .png"));
  write({{"a.png", bytes("broken")}});
  EXPECT_THAT(input_error([&] { open_image_folder(path_)->open_reader()->read(0); }),
              AllOf(HasSubstr("pictures.zip"), HasSubstr("a.png")));
  EXPECT_THAT(input_error([&] { open_image_folder(path_, FolderClasses::kSubfolder); }),
              HasSubstr("is not in a subfolder"));
  write_file_atomically(path_, "no archive");
  EXPECT_THAT(input_error([&] { open_image_folder(path_); }), HasSubstr("as a zip archive"));
}

TEST_F(OtherArchives, MismatchedLabelsAreErrors) {
  const Labels labels = attributes_of(3);
  DatasetCard card;
  card.label_names = labels.names;
  const std::vector<uint8_t> jpeg = encode_jpeg(pattern(16, 8, 3), 95);
  write({{"a.jpg", jpeg}, {"labels.npy", encode_labels(labels)}, {"card.json", bytes(to_json(card))}});
  EXPECT_THAT(input_error([&] { open_image_folder(path_); }), HasSubstr("has 3 labels for 1 images"));
  write({{"a.jpg", jpeg}, {"labels.npy", bytes("none")}, {"card.json", bytes(to_json(card))}});
  EXPECT_THAT(input_error([&] { open_image_folder(path_); }), HasSubstr("labels.npy"));
  write({{"a.jpg", jpeg}, {"labels.npy", encode_labels(labels)}, {"card.json", bytes("{}")}});
  EXPECT_THAT(input_error([&] { open_image_folder(path_); }), HasSubstr("card.json"));
  // Without a card, a file of that name says nothing about the images.
  write({{"a.jpg", jpeg}, {"labels.npy", bytes("none")}});
  EXPECT_EQ(open_image_folder(path_)->labels().kind, LabelKind::kNone);
}

TEST_F(OtherArchives, UnpackedArchiveHoldsTheSame) {
  const Dataset dataset = dataset_of(4, 16, 3, attributes_of(4));
  write_image_archive(dataset, {}, path_);
  const ZipReader zip(path_);
  create_folder(folder_.path() / "unpacked");
  for (int64_t i = 0; i < zip.count(); ++i) {
    const std::vector<uint8_t> content = zip.read(i);
    write_file_atomically(folder_.path() / "unpacked" / zip.name(i), content);
  }
  const auto packed = open_image_folder(path_), unpacked = open_image_folder(folder_.path() / "unpacked");
  ASSERT_EQ(packed->count(), unpacked->count());
  EXPECT_EQ(packed->labels().attributes, unpacked->labels().attributes);
  for (int64_t i = 0; i < packed->count(); ++i)
    EXPECT_EQ(packed->open_reader()->read(i).pixels, unpacked->open_reader()->read(i).pixels);
}

}  // namespace
}  // namespace ddpm
