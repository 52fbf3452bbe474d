// CelebA's layout, as our own generator writes it and with every kind of damage.
#include "data/celeba.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cstdio>
#include <fstream>

#include "data/celeba_layout.h"
#include "data/celeba_lists.h"
#include "data/zip_reader.h"
#include "data/zip_writer.h"
#include "tests/data/pattern.h"
#include "tests/temporary_folder.h"

namespace ddpm {
namespace {

using testing::AllOf;
using testing::HasSubstr;
namespace fs = std::filesystem;

constexpr int kCount = 10;  // 8 train, 1 validation, 1 test

// Each test has its own files, which it may damage.
class CelebaLayout : public testing::Test {
 protected:
  CelebaLayout() { write_celeba_layout({.count = kCount, .seed = 3, .threads = 2}, folder_.path()); }

  std::unique_ptr<ImageSource> open(Split split = Split::kTrain) const {
    return open_celeba({.images = zip_, .annotations = folder_.path(), .split = split});
  }
  std::string open_error(Split split = Split::kTrain) const {
    return input_error([&] { open(split); });
  }
  // Replaces the first occurrence of `from` in a text file.
  static void edit(const fs::path& path, const std::string& from, const std::string& to) {
    std::string text = read_file(path);
    ASSERT_NE(text.find(from), std::string::npos);
    write_file_atomically(path, text.replace(text.find(from), from.size(), to));
  }

  TemporaryFolder folder_;
  fs::path zip_ = folder_.path() / "img_align_celeba.zip";
  fs::path partition_ = folder_.path() / "list_eval_partition.txt";
  fs::path attributes_ = folder_.path() / "list_attr_celeba.txt";
};

void unpack(const fs::path& zip_path, const fs::path& folder) {
  const ZipReader zip(zip_path);
  for (int64_t i = 0; i < zip.count(); ++i) {
    const std::vector<uint8_t> bytes = zip.read(i);
    create_folder((folder / zip.name(i)).parent_path());
    write_file_atomically(folder / zip.name(i), bytes);
  }
}

TEST_F(CelebaLayout, SplitsFollowThePartition) {
  EXPECT_EQ(open(Split::kTrain)->count(), 8);
  EXPECT_EQ(open(Split::kValidation)->count(), 1);
  EXPECT_EQ(open(Split::kTest)->count(), 1);
  EXPECT_EQ(open(Split::kAll)->count(), kCount);
}

TEST_F(CelebaLayout, AttributesMatchTheFile) {
  const auto source = open();
  const Labels& labels = source->labels();
  ASSERT_EQ(labels.kind, LabelKind::kAttributes);
  ASSERT_EQ(labels.names.size(), 40U);
  ASSERT_EQ(labels.count(), 8);
  const CelebaAttributes file = read_celeba_attributes(attributes_);
  EXPECT_EQ(std::vector<uint8_t>(file.values.begin(), file.values.begin() + 8 * 40), labels.attributes);
  EXPECT_GT(std::count(labels.attributes.begin(), labels.attributes.end(), 1), 0);
}

TEST_F(CelebaLayout, WindowsLineEndsReadTheSame) {
  const Labels before = open()->labels();
  for (const fs::path& path : {partition_, attributes_}) {
    std::string text;
    for (const char letter : read_file(path))
      text += letter == '\n' ? std::string("\r\n") : std::string(1, letter);
    write_file_atomically(path, text);
  }
  const auto after = open();
  EXPECT_EQ(after->count(), 8);
  EXPECT_EQ(after->labels().attributes, before.attributes);
  EXPECT_EQ(after->labels().names, before.names);
}

TEST_F(CelebaLayout, FolderAndArchiveGiveTheSameImages) {
  unpack(zip_, folder_.path());
  const auto archive = open();
  const auto unpacked = open_celeba({.images = folder_.path() / "img_align_celeba", .annotations = {}});
  const auto parent = open_celeba({.images = folder_.path(), .annotations = {}});
  ASSERT_EQ(unpacked->count(), archive->count());
  ASSERT_EQ(parent->count(), archive->count());
  for (int64_t i = 0; i < archive->count(); ++i) {
    const Image image = archive->open_reader()->read(i);
    EXPECT_EQ(image.width, 178);
    EXPECT_EQ(image.height, 218);
    EXPECT_EQ(unpacked->open_reader()->read(i).pixels, image.pixels);
  }
}

TEST_F(CelebaLayout, NoAttributeFileMeansNoLabels) {
  fs::remove(attributes_);
  EXPECT_EQ(open()->labels().kind, LabelKind::kNone);
}

TEST_F(CelebaLayout, AllNeedsNoPartition) {
  fs::remove(partition_);
  EXPECT_EQ(open(Split::kAll)->count(), kCount);
  EXPECT_THAT(open_error(Split::kTrain), HasSubstr("list_eval_partition.txt"));
}

TEST_F(CelebaLayout, MissingArchiveIsAnError) {
  fs::remove(zip_);
  EXPECT_THAT(open_error(), AllOf(HasSubstr("cannot find"), HasSubstr(zip_.string())));
}

TEST_F(CelebaLayout, MalformedArchiveIsAnError) {
  write_file_atomically(zip_, "this is no zip archive");
  EXPECT_THAT(open_error(), AllOf(HasSubstr(zip_.string()), HasSubstr("zip archive")));
}

TEST_F(CelebaLayout, TruncatedArchiveIsAnError) {
  fs::resize_file(zip_, fs::file_size(zip_) / 2);  // its directory is at the end
  EXPECT_THAT(open_error(), HasSubstr("download it again"));
}

TEST_F(CelebaLayout, ArchiveWithoutImagesIsAnError) {
  ZipWriter zip(zip_);
  zip.add("readme.txt", [] { return std::vector<uint8_t>{'x'}; });
  zip.commit();
  EXPECT_THAT(open_error(), HasSubstr("no JPEG"));
}

TEST_F(CelebaLayout, MissingMemberIsAnError) {
  const ZipReader whole(zip_);
  const fs::path shorter = folder_.path() / "shorter.zip";
  ZipWriter zip(shorter);
  for (int64_t i = 0; i < whole.count(); ++i)
    if (i != 4) zip.add(whole.name(i), [&whole, i] { return whole.read(i); });
  zip.commit();
  EXPECT_THAT(input_error([&] { open_celeba({.images = shorter, .annotations = folder_.path()}); }),
              AllOf(HasSubstr("lacks 000005.jpg"), HasSubstr("shorter.zip")));
}

// The changed byte is in the image data, where a JPEG decoder would return wrong pixels without an error.
TEST_F(CelebaLayout, CorruptMemberIsAnErrorThatNamesIt) {
  std::fstream file(zip_, std::ios::binary | std::ios::in | std::ios::out);
  constexpr int kInsideFirstMember = 1500;
  file.seekg(kInsideFirstMember);
  const char byte = static_cast<char>(file.get());
  file.seekp(kInsideFirstMember);
  file.put(static_cast<char>(byte ^ 0x10));
  file.close();
  const auto source = open();
  EXPECT_THAT(input_error([&] { source->open_reader()->read(0); }),
              AllOf(HasSubstr("img_align_celeba/000001.jpg"), HasSubstr("damaged")));
  EXPECT_EQ(source->open_reader()->read(1).width, 178);
}

TEST_F(CelebaLayout, NonJpegMemberIsAnErrorThatNamesIt) {
  ZipWriter zip(zip_);
  for (int i = 1; i <= kCount; ++i)
    zip.add(fmt::format("{:06}.jpg", i), [] { return std::vector<uint8_t>{'G', 'I', 'F', '8', '9', 'a'}; });
  zip.commit();
  const auto source = open();
  EXPECT_THAT(input_error([&] { source->open_reader()->read(2); }),
              AllOf(HasSubstr("000003.jpg"), HasSubstr("cannot be decoded")));
}

TEST_F(CelebaLayout, ShortPartitionIsAnError) {
  edit(partition_, "000007.jpg 0\n", "");
  EXPECT_THAT(open_error(),
              AllOf(HasSubstr("does not list 000007.jpg"), HasSubstr("list_eval_partition.txt")));
}

TEST_F(CelebaLayout, MalformedPartitionIsAnErrorWithItsLine) {
  const std::string good = read_file(partition_);
  for (const char* line : {"000003.jpg 7\n", "000003.jpg\n", "000003.jpg 0 1\n", "000003.jpg train\n"}) {
    write_file_atomically(partition_, good);
    edit(partition_, "000003.jpg 0\n", line);
    EXPECT_THAT(open_error(), HasSubstr("list_eval_partition.txt:3: ")) << line;
  }
  write_file_atomically(partition_, "");
  EXPECT_THAT(open_error(), HasSubstr("is empty"));
}

TEST_F(CelebaLayout, EmptySplitIsAnError) {
  edit(partition_, "000009.jpg 1\n", "000009.jpg 0\n");
  EXPECT_THAT(open_error(Split::kValidation), HasSubstr("'validation'"));
}

TEST_F(CelebaLayout, MalformedAttributesAreAnErrorWithTheirLine) {
  const std::string good = read_file(attributes_);
  const auto error_after = [&](const std::string& from, const std::string& to) {
    write_file_atomically(attributes_, good);
    edit(attributes_, from, to);
    return open_error();
  };
  EXPECT_THAT(error_after("000002.jpg -1", "000002.jpg"), AllOf(HasSubstr(":4: "), HasSubstr("39 values")));
  EXPECT_THAT(error_after("000002.jpg -1", "000002.jpg yes"), AllOf(HasSubstr(":4: "), HasSubstr("'yes'")));
  EXPECT_THAT(error_after("10\n", "11\n"), HasSubstr("claims 11 rows but has 10"));
  EXPECT_THAT(error_after("10\n", ""), HasSubstr(":1: "));
  EXPECT_THAT(error_after("000002.jpg", "999999.jpg"), HasSubstr("no row for 000002.jpg"));
  write_file_atomically(attributes_, "0\n");
  EXPECT_THAT(open_error(), HasSubstr("no line of attribute names"));
}

TEST(Split, UnknownNameIsRefused) {
  EXPECT_THAT(input_error([] { split_from_name("val"); }),
              AllOf(HasSubstr("'val'"), HasSubstr("validation")));
}

TEST(CelebaLayoutWriter, CountOutOfRangeIsAnError) {
  const TemporaryFolder folder;
  EXPECT_THAT(input_error([&] { write_celeba_layout({.count = 0}, folder.path()); }), HasSubstr("0 faces"));
  EXPECT_THAT(input_error([&] { write_celeba_layout({.count = 1'000'000}, folder.path()); }),
              HasSubstr("1000000"));
}

TEST(CelebaLayoutWriter, StoppedEarlyLeavesNothing) {
  const TemporaryFolder folder;
  EXPECT_THROW(
      write_celeba_layout({.count = 50}, folder.path(), [](int64_t done, int64_t) { return done < 5; }),
      PreparationStopped);
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(CelebaLayoutWriter, SameSeedGivesTheSameFile) {
  const TemporaryFolder folder;
  write_celeba_layout({.count = 6, .seed = 1, .threads = 1}, folder.path() / "a");
  write_celeba_layout({.count = 6, .seed = 1, .threads = 3}, folder.path() / "b");
  for (const char* name : {"img_align_celeba.zip", "list_attr_celeba.txt", "list_eval_partition.txt"})
    EXPECT_EQ(read_file(folder.path() / "a" / name), read_file(folder.path() / "b" / name)) << name;
}

TEST(RealCeleba, SubsetOpensAndDecodes) {
  const char* data = test_data_folder();
  if (data == nullptr) GTEST_SKIP() << "DDPM_TEST_DATA names no folder with celeba/img_align_celeba.zip";
  const fs::path folder = fs::path(data) / "celeba";
  const auto source = open_celeba({.images = folder / "img_align_celeba.zip", .split = Split::kValidation});
  EXPECT_GT(source->count(), 0);
  EXPECT_EQ(source->labels().count(), source->count());
  EXPECT_EQ(source->labels().names.at(31), "Smiling");
  const auto reader = source->open_reader();
  for (int64_t i = 0; i < std::min<int64_t>(source->count(), 50); ++i) {
    const Image image = reader->read(i);
    EXPECT_EQ(image.width, 178);
    EXPECT_EQ(image.height, 218);
  }
}

}  // namespace
}  // namespace ddpm
