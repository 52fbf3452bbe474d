#include "data/dataset.h"

#include <gmock/gmock.h>

#include "data/content_hash.h"
#include "data/npy.h"
#include "tests/data/pattern.h"
#include "tests/temporary_folder.h"

namespace ddpm {
namespace {

using testing::AllOf;
using testing::HasSubstr;

DatasetCard small_card() {
  return {.source = "test",
          .split = "",
          .crop = "none",
          .filter = "bilinear",
          .count = 2,
          .height = 3,
          .width = 4,
          .channels = 3,
          .hash = "",
          .label_kind = "none",
          .label_names = {}};
}

// Two images of 3x4x3 in a folder, whose files a test may damage.
class DatasetFiles : public testing::Test {
 protected:
  DatasetFiles() {
    pixels_ = pattern(4, 6, 3).pixels;
    write_npy<uint8_t>(npy_, pixels_, std::vector<int64_t>{2, 3, 4, 3});
  }

  void write_card(DatasetCard card) {
    card.hash = content_hash(pixels_.data(), pixels_.size());
    write_file_atomically(folder_.path() / "set.json", to_json(card));
  }
  void write_shape(std::vector<int64_t> shape, size_t count) {
    const std::vector<uint8_t> values(count);
    write_npy<uint8_t>(npy_, values, shape);
  }
  std::string open_error() {
    return input_error([&] { Dataset::open(npy_); });
  }

  TemporaryFolder folder_;
  std::filesystem::path npy_ = folder_.path() / "set.npy";
  std::vector<uint8_t> pixels_;
};

// Published test value of XXH64: the empty input with seed 0.
TEST(ContentHash, IsXxh64) {
  EXPECT_EQ(content_hash(nullptr, 0), "xxh64:ef46db3751d8e999");
  ContentHash parts;
  parts.update("ab", 2);
  parts.update("c", 1);
  EXPECT_EQ(parts.text(), content_hash("abc", 3));
  EXPECT_EQ(parts.text(), "xxh64:44bc2cf5ad770999");
}

TEST_F(DatasetFiles, ArrayAloneIsADataset) {
  const Dataset dataset = Dataset::open(npy_);
  EXPECT_EQ(dataset.count(), 2);
  EXPECT_EQ(dataset.height(), 3);
  EXPECT_EQ(dataset.width(), 4);
  EXPECT_EQ(dataset.channels(), 3);
  EXPECT_EQ(dataset.labels().kind, LabelKind::kNone);
  EXPECT_EQ(std::vector<uint8_t>(dataset.pixels(), dataset.pixels() + pixels_.size()), pixels_);
  EXPECT_EQ(dataset.image(1).row(0)[0], pixels_[36]);
  EXPECT_EQ(dataset.hash(), content_hash(pixels_.data(), pixels_.size()));
}

TEST_F(DatasetFiles, SurvivesAMove) {
  Dataset first = Dataset::open(npy_);
  const Dataset second = std::move(first);
  EXPECT_EQ(second.pixels()[5], pixels_[5]);
  Dataset memory = Dataset::from_pixels(pixels_, small_card());
  const Dataset moved = std::move(memory);
  EXPECT_EQ(moved.compute_hash(), second.compute_hash());
}

TEST_F(DatasetFiles, CardAndAttributesAreRead) {
  DatasetCard card = small_card();
  card.label_kind = "attributes";
  card.label_names = {"Smiling", "Eyeglasses"};
  write_card(card);
  write_npy<uint8_t>(folder_.path() / "set.labels.npy", std::vector<uint8_t>{1, 0, 1, 1},
                     std::vector<int64_t>{2, 2});
  const Dataset dataset = Dataset::open(npy_);
  EXPECT_EQ(dataset.card().source, "test");
  EXPECT_EQ(dataset.labels().kind, LabelKind::kAttributes);
  EXPECT_EQ(dataset.labels().names, card.label_names);
  EXPECT_EQ(dataset.labels().attributes, (std::vector<uint8_t>{1, 0, 1, 1}));
}

TEST_F(DatasetFiles, ClassesAreReadWithoutACard) {
  write_npy<int32_t>(folder_.path() / "set.labels.npy", std::vector<int32_t>{3, 1}, std::vector<int64_t>{2});
  EXPECT_EQ(Dataset::open(npy_).labels().classes, (std::vector<int32_t>{3, 1}));
}

TEST_F(DatasetFiles, ChangedPixelsDifferFromTheCardsHash) {
  write_card(small_card());
  pixels_[7] ^= 1;
  write_npy<uint8_t>(npy_, pixels_, std::vector<int64_t>{2, 3, 4, 3});
  const Dataset dataset = Dataset::open(npy_);
  EXPECT_NE(dataset.hash(), dataset.compute_hash());
}

TEST_F(DatasetFiles, MissingFileAndWrongEndingAreErrors) {
  EXPECT_THAT(input_error([&] { Dataset::open(folder_.path() / "other.npy"); }), HasSubstr("other.npy"));
  EXPECT_THAT(input_error([] { Dataset::open("faces.npz"); }), HasSubstr("does not end in .npy"));
  EXPECT_THAT(input_error([&] {
                std::filesystem::create_directory(folder_.path() / "folder.npy");
                Dataset::open(folder_.path() / "folder.npy");
              }),
              HasSubstr("folder.npy"));
}

TEST_F(DatasetFiles, ArraysThatAreNotImagesAreErrors) {
  write_shape({2, 3, 12}, 72);
  EXPECT_THAT(open_error(), AllOf(HasSubstr("(2, 3, 12)"), HasSubstr("four dimensions")));
  write_shape({2, 3, 3, 4}, 72);  // channels first
  EXPECT_THAT(open_error(), AllOf(HasSubstr("4 channels"), HasSubstr("transpose")));
  write_shape({0, 3, 4, 3}, 0);
  EXPECT_THAT(open_error(), HasSubstr("is empty"));
  write_npy<float>(npy_, std::vector<float>(36), std::vector<int64_t>{1, 3, 4, 3});
  EXPECT_THAT(open_error(), AllOf(HasSubstr("<f4"), HasSubstr("astype")));
  write_file_atomically(npy_, "");
  EXPECT_THAT(open_error(), HasSubstr("first bytes"));
}

TEST_F(DatasetFiles, TruncatedArrayIsAnError) {
  std::filesystem::resize_file(npy_, std::filesystem::file_size(npy_) - 1);
  EXPECT_THAT(open_error(), HasSubstr("cut short"));
}

TEST_F(DatasetFiles, CardOfAnotherArrayIsAnError) {
  DatasetCard card = small_card();
  card.count = 3;
  write_card(card);
  EXPECT_THAT(open_error(), AllOf(HasSubstr("set.json"), HasSubstr("describes 3 images")));
}

TEST_F(DatasetFiles, MalformedCardIsAnError) {
  for (const char* text : {"", "{", "[1, 2]", "{\"source\": 3}", "{\"source\": \"x\"}"}) {
    write_file_atomically(folder_.path() / "set.json", text);
    EXPECT_THAT(open_error(), AllOf(HasSubstr("set.json"), HasSubstr("not a data set's card"))) << text;
  }
}

// Too large for any integer, negative, fractional, too large for int, and text.
TEST_F(DatasetFiles, CardWithInvalidSizesIsAnError) {
  const std::string good = to_json(small_card());
  const std::string height = fmt::format("\"height\": {}", small_card().height);
  ASSERT_NE(good.find(height), std::string::npos);
  for (const char* size : {"1e300", "-2", "2.5", "4294967297", "\"two\""}) {
    std::string text = good;
    text.replace(text.find(height), height.size(), fmt::format("\"height\": {}", size));
    write_file_atomically(folder_.path() / "set.json", text);
    EXPECT_THAT(open_error(), AllOf(HasSubstr("set.json"), HasSubstr("height"))) << size;
  }
}

TEST_F(DatasetFiles, MismatchedLabelsAreErrors) {
  const std::filesystem::path labels = folder_.path() / "set.labels.npy";
  write_npy<int32_t>(labels, std::vector<int32_t>{1, 2, 3}, std::vector<int64_t>{3});
  EXPECT_THAT(open_error(), HasSubstr("labels for 3 images"));
  write_npy<int32_t>(labels, std::vector<int32_t>{1, -2}, std::vector<int64_t>{2});
  EXPECT_THAT(open_error(), HasSubstr("class -2"));
  write_npy<uint8_t>(labels, std::vector<uint8_t>{1, 2, 0, 0}, std::vector<int64_t>{2, 2});
  EXPECT_THAT(open_error(), HasSubstr("0 or 1"));
  write_npy<float>(labels, std::vector<float>{1, 2}, std::vector<int64_t>{2});
  EXPECT_THAT(open_error(), HasSubstr("<f4"));
  DatasetCard card = small_card();
  card.label_kind = "attributes";
  card.label_names = {"Smiling"};
  write_card(card);
  write_npy<uint8_t>(labels, std::vector<uint8_t>{1, 0, 0, 0}, std::vector<int64_t>{2, 2});
  EXPECT_THAT(open_error(), HasSubstr("has 2 attributes"));
}

TEST(DatasetCard, JsonRoundTrip) {
  DatasetCard card = small_card();
  card.hash = "xxh64:0123456789abcdef";
  card.label_kind = "classes";
  card.label_names = {"cat", "a \"quoted\" name"};
  const DatasetCard back = parse_dataset_card(to_json(card), "x.json");
  EXPECT_EQ(to_json(back), to_json(card));
  EXPECT_EQ(back.label_names, card.label_names);
}

}  // namespace
}  // namespace ddpm
