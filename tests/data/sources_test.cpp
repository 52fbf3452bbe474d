// CIFAR-10, MNIST and folders of images, made by the tests themselves.
#include <gmock/gmock.h>
#include <zlib.h>

#include "data/cifar10.h"
#include "data/image_folder.h"
#include "data/jpeg.h"
#include "data/mnist.h"
#include "data/png.h"
#include "tests/data/pattern.h"
#include "tests/temporary_folder.h"

namespace ddpm {
namespace {

using testing::AllOf;
using testing::HasSubstr;
namespace fs = std::filesystem;

// Record i has the label i % 10; its pixel p of channel c is (p + 50 c + i) mod 256.
std::string cifar_batch(int records) {
  std::string bytes;
  for (int i = 0; i < records; ++i) {
    bytes += static_cast<char>(i % 10);
    for (int c = 0; c < 3; ++c)
      for (int p = 0; p < 1024; ++p) bytes += static_cast<char>(p + 50 * c + i);
  }
  return bytes;
}

TEST(Cifar10, PlanesBecomePixels) {
  const TemporaryFolder folder;
  write_file_atomically(folder.path() / "data_batch_1.bin", cifar_batch(3));
  write_file_atomically(folder.path() / "data_batch_2.bin", cifar_batch(2));
  write_file_atomically(folder.path() / "test_batch.bin", cifar_batch(1));
  EXPECT_EQ(open_cifar10(folder.path(), Split::kTest)->count(), 1);
  EXPECT_EQ(open_cifar10(folder.path(), Split::kAll)->count(), 6);
  EXPECT_EQ(open_cifar10(folder.path() / "data_batch_2.bin", Split::kTrain)->count(), 2);
  const auto train = open_cifar10(folder.path(), Split::kTrain);
  ASSERT_EQ(train->count(), 5);
  EXPECT_EQ(train->labels().classes, (std::vector<int32_t>{0, 1, 2, 0, 1}));
  EXPECT_EQ(train->labels().names.at(6), "frog");
  const Image image = train->open_reader()->read(2);
  ASSERT_EQ(image.width, 32);
  ASSERT_EQ(image.channels, 3);
  EXPECT_EQ(image.row(1)[3 * 7 + 2], (32 + 7) + 50 * 2 + 2);
}

TEST(Cifar10, DamagedFilesAreErrors) {
  const TemporaryFolder folder;
  EXPECT_THAT(input_error([&] { open_cifar10(folder.path(), Split::kTrain); }),
              HasSubstr("holds no CIFAR-10 batch"));
  EXPECT_THAT(input_error([&] { open_cifar10(folder.path() / "none.bin", Split::kTrain); }),
              HasSubstr("none.bin"));
  const fs::path file = folder.path() / "data_batch_1.bin";
  write_file_atomically(file, cifar_batch(2).substr(1));
  EXPECT_THAT(input_error([&] { open_cifar10(file, Split::kTrain); }), HasSubstr("no multiple"));
  write_file_atomically(file, "");
  EXPECT_THAT(input_error([&] { open_cifar10(file, Split::kTrain); }), HasSubstr("no multiple"));
  std::string wrong_label = cifar_batch(2);
  wrong_label[3073] = 10;
  write_file_atomically(file, wrong_label);
  EXPECT_THAT(input_error([&] { open_cifar10(file, Split::kTrain); }),
              AllOf(HasSubstr("record 1"), HasSubstr("label 10")));
}

std::string idx(std::vector<uint32_t> shape, const std::string& data) {
  std::string bytes = {0, 0, 8, static_cast<char>(shape.size())};
  for (const uint32_t extent : shape)
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(extent >> shift);
  return bytes + data;
}

std::string digits(int count) {
  std::string data;
  for (int i = 0; i < count * 28 * 28; ++i) data += static_cast<char>(i % 251);
  return data;
}

void write_gzip(const fs::path& path, const std::string& text) {
  gzFile file = gzopen(path.c_str(), "wb");
  ASSERT_NE(file, nullptr);
  ASSERT_EQ(gzwrite(file, text.data(), static_cast<unsigned>(text.size())), static_cast<int>(text.size()));
  ASSERT_EQ(gzclose(file), Z_OK);
}

class MnistFiles : public testing::Test {
 protected:
  MnistFiles() {
    write_file_atomically(images_, idx({3, 28, 28}, digits(3)));
    write_file_atomically(labels_, idx({3}, std::string("\x07\x00\x09", 3)));
  }
  std::string open_error(MnistPadding padding = MnistPadding::kNone) {
    return input_error([&] { open_mnist(folder_.path(), Split::kTrain, padding); });
  }

  TemporaryFolder folder_;
  fs::path images_ = folder_.path() / "train-images-idx3-ubyte";
  fs::path labels_ = folder_.path() / "train-labels-idx1-ubyte";
};

TEST_F(MnistFiles, AreRead) {
  const auto source = open_mnist(folder_.path(), Split::kTrain);
  ASSERT_EQ(source->count(), 3);
  EXPECT_EQ(source->labels().classes, (std::vector<int32_t>{7, 0, 9}));
  const Image image = source->open_reader()->read(1);
  ASSERT_EQ(image.channels, 1);
  EXPECT_EQ(image.row(2)[5], (784 + 2 * 28 + 5) % 251);
}

TEST_F(MnistFiles, CompressedOnesReadTheSame) {
  const TemporaryFolder compressed;
  write_gzip(compressed.path() / "t10k-images-idx3-ubyte.gz", read_file(images_));
  write_gzip(compressed.path() / "t10k-labels-idx1-ubyte.gz", read_file(labels_));
  const auto source = open_mnist(compressed.path(), Split::kTest);
  const auto plain = open_mnist(folder_.path(), Split::kTrain);
  ASSERT_EQ(source->count(), 3);
  EXPECT_EQ(source->open_reader()->read(2).pixels, plain->open_reader()->read(2).pixels);
}

TEST_F(MnistFiles, PaddingPutsTheDigitInTheMiddle) {
  const Image plain = open_mnist(folder_.path(), Split::kTrain)->open_reader()->read(0);
  const Image padded = open_mnist(folder_.path(), Split::kTrain, MnistPadding::kTo32)->open_reader()->read(0);
  ASSERT_EQ(padded.width, 32);
  EXPECT_EQ(copy(ImageView(padded).crop(2, 2, 28, 28)).pixels, plain.pixels);
  EXPECT_EQ(padded.row(0)[16], 0);
  EXPECT_EQ(padded.row(31)[31], 0);
}

TEST_F(MnistFiles, DamagedOnesAreErrors) {
  EXPECT_THAT(input_error([&] { open_mnist(folder_.path(), Split::kTest); }),
              HasSubstr("t10k-images-idx3-ubyte"));
  EXPECT_THAT(input_error([&] { open_mnist(folder_.path(), Split::kValidation); }),
              HasSubstr("no validation split"));
  write_file_atomically(images_, idx({3, 28, 28}, digits(2)));
  EXPECT_THAT(open_error(), HasSubstr("promises 2352 bytes"));
  write_file_atomically(images_, idx({0xffffffff, 0xffffffff, 0xffffffff}, digits(1)));
  EXPECT_THAT(open_error(), HasSubstr("header promises"));
  write_file_atomically(images_, idx({3, 784}, digits(3)));
  EXPECT_THAT(open_error(), HasSubstr("no idx file of 3 dimensions"));
  write_file_atomically(images_, "");
  EXPECT_THAT(open_error(), HasSubstr("no idx file"));
  write_file_atomically(images_, idx({2, 28, 28}, digits(2)));
  EXPECT_THAT(open_error(), AllOf(HasSubstr("2 images"), HasSubstr("3 labels")));
  write_file_atomically(images_, idx({3, 28, 28}, digits(3)));
  write_file_atomically(labels_, idx({3}, "\x01\x02\x0a"));
  EXPECT_THAT(open_error(), HasSubstr("label 2 is 10"));
}

TEST_F(MnistFiles, TruncatedGzipIsAnError) {
  const fs::path compressed = folder_.path() / "train-images-idx3-ubyte.gz";
  write_gzip(compressed, read_file(images_));
  fs::remove(images_);
  fs::resize_file(compressed, fs::file_size(compressed) / 2);
  EXPECT_THAT(open_error(), AllOf(HasSubstr("train-images-idx3-ubyte.gz"), HasSubstr("damaged")));
}

TEST(ImageFolder, ReadsBothFormatsInTheOrderOfNames) {
  const TemporaryFolder folder;
  create_folder(folder.path() / "cats" / "young");
  create_folder(folder.path() / "dogs");
  write_png(folder.path() / "dogs" / "a.PNG", pattern(5, 4, 3));
  write_png(folder.path() / "cats" / "young" / "b.png", pattern(6, 4, 1));
  const std::vector<uint8_t> jpeg = encode_jpeg(pattern(16, 8, 3), 95);
  write_file_atomically(folder.path() / "cats" / "c.Jpeg",
                        {reinterpret_cast<const char*>(jpeg.data()), jpeg.size()});
  write_file_atomically(folder.path() / "notes.txt", "no image");
  const auto source = open_image_folder(folder.path(), FolderClasses::kSubfolder);
  ASSERT_EQ(source->count(), 3);
  EXPECT_EQ(source->labels().names, (std::vector<std::string>{"cats", "dogs"}));
  EXPECT_EQ(source->labels().classes, (std::vector<int32_t>{0, 0, 1}));
  const auto reader = source->open_reader();
  EXPECT_EQ(reader->read(0).width, 16);
  EXPECT_EQ(reader->read(1).channels, 1);
  EXPECT_EQ(reader->read(2).pixels, pattern(5, 4, 3).pixels);
  EXPECT_EQ(open_image_folder(folder.path())->labels().kind, LabelKind::kNone);
}

TEST(ImageFolder, BadFoldersAreErrors) {
  const TemporaryFolder folder;
  EXPECT_THAT(input_error([&] { open_image_folder(folder.path()); }), HasSubstr("holds no .png"));
  EXPECT_THAT(input_error([&] { open_image_folder(folder.path() / "none"); }), HasSubstr("cannot list"));
  write_file_atomically(folder.path() / "broken.png", "\x89PNG but not really");
  EXPECT_THAT(input_error([&] { open_image_folder(folder.path(), FolderClasses::kSubfolder); }),
              HasSubstr("lies in no subfolder"));
  const auto source = open_image_folder(folder.path());
  EXPECT_THAT(input_error([&] { source->open_reader()->read(0); }), HasSubstr("broken.png"));
  fs::remove(folder.path() / "broken.png");
  EXPECT_THAT(input_error([&] { source->open_reader()->read(0); }), HasSubstr("cannot read"));
}

TEST(RealSources, Cifar10AndMnistOpen) {
  const char* data = test_data_folder();
  if (data == nullptr) GTEST_SKIP() << "DDPM_TEST_DATA names no folder with cifar-10-batches-bin/ and mnist/";
  const auto cifar = open_cifar10(fs::path(data) / "cifar-10-batches-bin", Split::kTrain);
  EXPECT_EQ(cifar->count() % 10000, 0);
  const auto mnist = open_mnist(fs::path(data) / "mnist", Split::kTest);
  ASSERT_EQ(mnist->count(), 10000);
  EXPECT_EQ(mnist->labels().classes.front(), 7);  // the first test digit of MNIST is a seven
}

}  // namespace
}  // namespace ddpm
