// ddpm_data as a user meets it: every command on good input, and one clear sentence for each kind of
// bad input.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "data/dataset.h"
#include "data/npy.h"
#include "data/png.h"
#include "data/zip_reader.h"
#include "support/atomic_file.h"
#include "tests/apps/program.h"
#include "tests/temporary_folder.h"

namespace ddpm {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class DataTest : public ::testing::Test {
 protected:
  std::string path(const std::string& name) const { return (folder_.path() / name).string(); }
  static ProgramResult data(const std::vector<std::string>& arguments) {
    return run_program("ddpm_data", arguments);
  }

  // Exit code 2, one line on standard error that begins with the program's name and says `what`.
  static void refused(const ProgramResult& result, const std::string& what) {
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_THAT(result.err, AllOf(StartsWith("ddpm_data: "), HasSubstr(what)));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  }

  // Ten images in CelebA's layout: its archive and its two lists.
  std::string celeba() const {
    const std::string layout = path("celeba");
    if (fs::exists(layout)) return layout;
    const ProgramResult made = data({"synthetic-faces", "--count", "10", "--celeba-layout", layout});
    EXPECT_EQ(made.exit_code, 0) << made.err;
    return layout;
  }
  std::vector<std::string> prepare_celeba(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {
        "prepare", "--source", "celeba", "--input",      celeba() + "/img_align_celeba.zip",
        "--size",  "16",       "--out",  path("out.npy")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  std::vector<std::string> prepare(const std::string& source, const std::string& input,
                                   const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"prepare", "--source", source,         "--input",
                                          input,     "--out",    path("out.npy")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  // Refused input leaves no partial files.
  void expect_no_output() const {
    for (const auto& entry : fs::directory_iterator(folder_.path()))
      EXPECT_FALSE(entry.path().filename().string().find("out.") != std::string::npos) << entry.path();
  }
  // Replaces the first `from` in a file by `to`.
  static void edit(const std::string& file, const std::string& from, const std::string& to) {
    std::string text = read_file(file);
    const size_t at = text.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    write_file_atomically(file, text.replace(at, from.size(), to));
  }
  void write(const std::string& name, const std::string& content) const {
    fs::create_directories(fs::path(path(name)).parent_path());
    write_file_atomically(path(name), content);
  }
  std::string faces(const std::string& count = "6") const {
    const std::string npy = path("faces.npy");
    EXPECT_EQ(data({"synthetic-faces", "--count", count, "--size", "8", "--out", npy}).exit_code, 0);
    return npy;
  }

  TemporaryFolder folder_;
};

// Records of CIFAR-10: label, then the red, green and blue plane, each of one value.
std::string cifar_record(char label) {
  return std::string(1, label) + std::string(1024, '\x10') + std::string(1024, '\x20') +
         std::string(1024, '\x30');
}
// Big-endian sizes behind idx's magic number.
std::string idx(const std::vector<uint32_t>& shape, const std::string& content) {
  std::string text = {'\0', '\0', '\x08', static_cast<char>(shape.size())};
  for (const uint32_t extent : shape)
    for (int shift = 24; shift >= 0; shift -= 8) text += static_cast<char>(extent >> shift);
  return text + content;
}

// ---- what works ----

TEST_F(DataTest, PreparesCelebaWithItsLabelsAndCard) {
  const ProgramResult result = data(prepare_celeba({"--split", "train"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("8 images of 16x16x3"));
  const Dataset dataset = Dataset::open(path("out.npy"));
  EXPECT_EQ(dataset.count(), 8) << "the layout gives eight of ten to the train split";
  EXPECT_EQ(dataset.card().crop, "ddim") << "the default crop";
  EXPECT_EQ(dataset.labels().names.size(), 40u);
  EXPECT_EQ(dataset.compute_hash(), dataset.card().hash);
}

TEST_F(DataTest, PreparesAFolderWhoseSubfoldersAreClasses) {
  const Image image(20, 12, 3);
  for (const char* name : {"cat/a.png", "dog/b.png", "dog/c.png"}) {
    fs::create_directories(fs::path(path(std::string("pictures/") + name)).parent_path());
    write_png(path(std::string("pictures/") + name), image);
  }
  const ProgramResult result = data(prepare("folder", path("pictures"), {"--classes", "--size", "8"}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Dataset dataset = Dataset::open(path("out.npy"));
  EXPECT_EQ(dataset.labels().names, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(dataset.labels().classes, (std::vector<int32_t>{0, 1, 1}));
}

TEST_F(DataTest, PreparesCifar10AndMnist) {
  write("cifar/data_batch_1.bin", cifar_record(3) + cifar_record(9));
  ASSERT_EQ(data(prepare("cifar10", path("cifar"))).exit_code, 0);
  const Dataset cifar = Dataset::open(path("out.npy"));
  EXPECT_EQ(cifar.labels().classes, (std::vector<int32_t>{3, 9}));
  EXPECT_EQ((std::vector<uint8_t>{cifar.pixels()[0], cifar.pixels()[1], cifar.pixels()[2]}),
            (std::vector<uint8_t>{0x10, 0x20, 0x30}));

  write("mnist/train-images-idx3-ubyte", idx({2, 28, 28}, std::string(2 * 28 * 28, '\x40')));
  write("mnist/train-labels-idx1-ubyte", idx({2}, "\x05\x07"));
  ASSERT_EQ(data(prepare("mnist", path("mnist"), {"--pad", "--channels", "1"})).exit_code, 0);
  const Dataset mnist = Dataset::open(path("out.npy"));
  EXPECT_EQ(mnist.width(), 32);
  EXPECT_EQ(mnist.labels().classes, (std::vector<int32_t>{5, 7}));
  EXPECT_EQ(mnist.pixels()[0], 0) << "padding";
  EXPECT_EQ(mnist.pixels()[16 * 32 + 16], 0x40);
}

TEST_F(DataTest, ThreadsAndRunsGiveTheSameBytes) {
  ASSERT_EQ(data(prepare_celeba({"--threads", "1"})).exit_code, 0);
  const std::string once = read_file(path("out.npy"));
  ASSERT_EQ(data(prepare_celeba({"--threads", "3"})).exit_code, 0);
  EXPECT_TRUE(read_file(path("out.npy")) == once);
}

TEST_F(DataTest, InfoDescribesTheDataAndFindsChangedPixels) {
  const std::string npy = faces();
  ProgramResult result = data({"info", npy});
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("6 images of 8x8x3"), HasSubstr("matches the card"), HasSubstr("channel 2")));
  std::string bytes = read_file(npy);
  bytes.back() = static_cast<char>(bytes.back() + 1);
  write_file_atomically(npy, bytes);
  result = data({"info", npy});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.out, HasSubstr("the pixels were changed"));
}

TEST_F(DataTest, PreviewIsAGrid) {
  ASSERT_EQ(data({"preview", faces(), "--grid", path("grid.png"), "--count", "4"}).exit_code, 0);
  const Image grid = read_png(path("grid.png"));
  EXPECT_EQ(grid.width, 2 * 8 + 3 * 2) << "two columns of 8 pixels, gaps of 2 around each";
}

TEST_F(DataTest, ReferenceHasTheSamePixelsInEveryFormatAndRecordsTheCrop) {
  ASSERT_EQ(data(prepare_celeba()).exit_code, 0);
  const ProgramResult result = data(
      {"reference", path("out.npy"), "--png-dir", path("real"), "--npz", path("real.npz"), "--count", "5"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Dataset dataset = Dataset::open(path("out.npy"));
  EXPECT_EQ(std::distance(fs::directory_iterator(path("real")), {}), 5) << "images only: tools count files";
  EXPECT_EQ(read_png(path("real/000004.png")).pixels, copy(dataset.image(4)).pixels);
  const NpyArray<uint8_t> array = parse_npy<uint8_t>(ZipReader(path("real.npz")).read(0), "arr_0.npy");
  EXPECT_EQ(array.shape, (std::vector<int64_t>{5, 16, 16, 3}));
  EXPECT_TRUE(std::equal(array.values.begin(), array.values.end(), dataset.pixels()));
  for (const char* record : {"real.json", "real.npz.json"}) {
    const nlohmann::json json = nlohmann::json::parse(read_file(path(record)));
    EXPECT_EQ(json.at("count"), 5);
    EXPECT_EQ(json.at("card").at("crop"), "ddim");
    EXPECT_EQ(json.at("card").at("filter"), "bilinear");
    EXPECT_EQ(json.at("card").at("hash"), dataset.hash());
  }
  EXPECT_EQ(data({"reference", path("out.npy"), "--png-dir", path("real"), "--count", "5"}).exit_code, 0)
      << "the same again is no conflict";
}

TEST_F(DataTest, ExportRoundTripsWithItsLabels) {
  ASSERT_EQ(data(prepare_celeba()).exit_code, 0);
  const ProgramResult result = data({"export", path("out.npy"), "--zip", path("out.zip"), "--quality", "90"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out,
              AllOf(HasSubstr("8 images of 16x16x3"), HasSubstr("PSNR"), HasSubstr("attributes")));
  const Dataset before = Dataset::open(path("out.npy"));
  ASSERT_EQ(data({"prepare", "--source", "folder", "--input", path("out.zip"), "--size", "16", "--out",
                  path("back.npy")})
                .exit_code,
            0);
  const Dataset back = Dataset::open(path("back.npy"));
  ASSERT_EQ(back.count(), before.count());
  EXPECT_EQ(back.labels().attributes, before.labels().attributes);
  EXPECT_EQ(back.labels().names, before.labels().names);
  EXPECT_NE(back.hash(), before.hash()) << "JPEG loses something";
}

// ---- what is refused ----

TEST_F(DataTest, CommandLineMistakes) {
  refused(data({}), "subcommand");
  refused(data({"prepare", "--source", "celeba"}), "--input");
  refused(data(prepare("imagenet", path("x"))), "there is no source 'imagenet'");
  refused(data(prepare_celeba({"--split", "dev"})), "dev");
  refused(data(prepare_celeba({"--crop", "tight"})), "tight");
  refused(data(prepare_celeba({"--filter", "sinc"})), "sinc");
  refused(data(prepare("celeba", celeba() + "/img_align_celeba.zip", {"--size", "-4"})), "-4");
  refused(data(prepare("celeba", path("a.zip"), {"--size", "big"})), "--size");
  refused(data(prepare_celeba({"--channels", "4"})), "4");
  refused(data(prepare_celeba({"--limit", "-1"})), "-1");
  refused(data({"synthetic-faces"}), "--out");
  refused(data({"synthetic-faces", "--count", "0", "--out", path("out.npy")}), "count");
  refused(data({"synthetic-faces", "--out", path("out.png")}), "out.png");
  expect_no_output();
}

TEST_F(DataTest, RefusesMissingOrBadCelebaLists) {
  const std::string partition = celeba() + "/list_eval_partition.txt";
  const std::string attributes = celeba() + "/list_attr_celeba.txt";
  const std::string good_partition = read_file(partition);
  const std::string good_attributes = read_file(attributes);
  const auto with_partition = [&](const std::string& text, const std::string& what) {
    write_file_atomically(partition, text);
    refused(data(prepare_celeba()), what);
    write_file_atomically(partition, good_partition);
  };
  const auto with_attributes = [&](const std::string& text, const std::string& what) {
    write_file_atomically(attributes, text);
    refused(data(prepare_celeba()), what);
    write_file_atomically(attributes, good_attributes);
  };
  with_partition("", "is empty");
  with_partition("000001.jpg\n", "list_eval_partition.txt:1");
  with_partition(good_partition + "000011.jpg 7\n", "list_eval_partition.txt:11");
  with_attributes("many\n", "list_attr_celeba.txt:1");
  with_attributes("1\nBald\n000001.jpg 2\n", "list_attr_celeba.txt:3: expected -1 or 1, got '2'");
  with_attributes("7\nBald\n000001.jpg 1\n", "claims 7 rows");
  fs::remove(partition);
  refused(data(prepare_celeba()), "list_eval_partition.txt");
  expect_no_output();
}

TEST_F(DataTest, RefusesMissingDamagedOrIncompleteCelebaArchive) {
  const std::string zip = celeba() + "/img_align_celeba.zip";
  const std::string good = read_file(zip);
  refused(data(prepare("celeba", path("none.zip"))), "none.zip");
  write_file_atomically(zip, good.substr(0, good.size() / 2));
  refused(data(prepare_celeba()), "img_align_celeba.zip");
  write_file_atomically(zip, "no archive");
  refused(data(prepare_celeba()), "img_align_celeba.zip");
  // In the middle of the first photograph's data: its checksum no longer holds.
  std::string changed = good;
  changed[600] = static_cast<char>(changed[600] ^ 0x55);
  write_file_atomically(zip, changed);
  refused(data(prepare_celeba()), "000001.jpg");
  write_file_atomically(zip, good);
  edit(celeba() + "/list_eval_partition.txt", "000002.jpg", "999999.jpg");
  refused(data(prepare_celeba()), "does not list 000002.jpg");
  expect_no_output();
}

TEST_F(DataTest, RefusesFoldersWithoutImagesOrWithBadOnes) {
  refused(data(prepare("folder", path("none"))), "none");
  fs::create_directories(path("empty"));
  refused(data(prepare("folder", path("empty"))), "empty");
  write("broken/a.jpg", "no JPEG");
  refused(data(prepare("folder", path("broken"))), "a.jpg");
  write_png(path("whole.png"), Image(30, 30, 3));
  write("cut/b.png", read_file(path("whole.png")).substr(0, 60));
  refused(data(prepare("folder", path("cut"))), "b.png");
  expect_no_output();
}

TEST_F(DataTest, RefusesFilesThatAreNotCifar10) {
  write("short/data_batch_1.bin", cifar_record(1).substr(0, 3000));
  refused(data(prepare("cifar10", path("short"))), "3000 bytes");
  write("label/data_batch_1.bin", cifar_record(1) + cifar_record(10));
  refused(data(prepare("cifar10", path("label"))), "record 1 has label 10");
  fs::create_directories(path("empty"));
  refused(data(prepare("cifar10", path("empty"))), "data_batch_1.bin");
  write("empty/data_batch_1.bin", "");
  refused(data(prepare("cifar10", path("empty"))), "0 bytes");
  expect_no_output();
}

TEST_F(DataTest, RefusesFilesThatAreNotMnist) {
  const auto with = [&](const std::string& images, const std::string& labels, const std::string& what) {
    write("mnist/train-images-idx3-ubyte", images);
    write("mnist/train-labels-idx1-ubyte", labels);
    refused(data(prepare("mnist", path("mnist"))), what);
  };
  const std::string images = idx({1, 4, 4}, std::string(16, 'x'));
  with("short", idx({1}, "\x01"), "not an idx file");
  with(images, idx({1}, "\x0b"), "label 0 is 11");
  with(images, idx({2}, "\x01\x02"), "2 labels");
  with(images.substr(0, 20), idx({1}, "\x01"), "claims 16 bytes");
  with(idx({4294967295, 4294967295, 4294967295}, ""), idx({1}, "\x01"), "claims");
  fs::remove(path("mnist/train-labels-idx1-ubyte"));
  refused(data(prepare("mnist", path("mnist"))), "train-labels-idx1-ubyte");
  // gzip's magic number, method and flags, and then nothing.
  write("mnist/train-labels-idx1-ubyte.gz", std::string("\x1f\x8b\x08\0\0\0\0\0\0\x03", 10));
  refused(data(prepare("mnist", path("mnist"))), "train-");
  expect_no_output();
}

TEST_F(DataTest, RefusesArraysThatAreNotDataSets) {
  refused(data({"info", path("none.npy")}), "none.npy");
  write("text.npy", "no array");
  refused(data({"info", path("text.npy")}), "text.npy");
  write_npy<float>(path("float.npy"), std::vector<float>(3), std::vector<int64_t>{1, 1, 1, 3});
  refused(data({"info", path("float.npy")}), "<f4");
  write_npy<uint8_t>(path("flat.npy"), std::vector<uint8_t>(6), std::vector<int64_t>{2, 3});
  refused(data({"preview", path("flat.npy"), "--grid", path("grid.png")}), "flat.npy");
  const std::string npy = faces();
  write_file_atomically(npy, read_file(npy).substr(0, 500));
  refused(data({"info", npy}), "cut short");
  faces();
  edit(path("faces.json"), "\"count\"", "\"number\"");
  refused(data({"info", npy}), "faces.json");
}

TEST_F(DataTest, RefusesPreviewAndReferenceBeyondTheEnd) {
  const std::string npy = faces();
  refused(data({"preview", npy, "--grid", path("grid.png"), "--first", "6"}), "--first: expected 0 to 5");
  refused(data({"preview", npy, "--grid", path("grid.png"), "--count", "0"}), "--count");
  refused(data({"reference", npy}), "--png-dir");
  refused(data({"reference", npy, "--npz", path("out.npz"), "--count", "7"}), "--count: expected at most 6");
  refused(data({"reference", npy, "--npz", path("none/out.npz")}), "none/out.npz");
  expect_no_output();
}

TEST_F(DataTest, RefusesExportOptionsOutOfRange) {
  const std::string npy = faces();
  refused(data({"export", npy}), "--zip");
  refused(data({"export", npy, "--zip", path("out.zip"), "--quality", "0"}), "quality 0");
  refused(data({"export", npy, "--zip", path("out.zip"), "--chroma", "4:1:1"}), "4:1:1");
  refused(data({"export", npy, "--zip", path("out.zip"), "--limit", "-1"}), "-1");
  refused(data({"export", npy, "--zip", path("none/out.zip")}), "none/out.zip");
  refused(data({"export", path("none.npy"), "--zip", path("out.zip")}), "none.npy");
  expect_no_output();
}

TEST_F(DataTest, ReferenceRefusesToMixKindsOfImages) {
  const std::string npy = faces();
  ASSERT_EQ(data({"reference", npy, "--png-dir", path("real")}).exit_code, 0);
  refused(data({"reference", npy, "--png-dir", path("real"), "--count", "3"}), "real.json");
  fs::remove(path("real.json"));
  refused(data({"reference", npy, "--png-dir", path("real")}), "not empty");
}

TEST_F(DataTest, RefusesUnwritableOutput) {
  refused(data({"synthetic-faces", "--count", "2", "--out", "/proc/none/out.npy"}), "/proc/none");
  // A limit on file sizes simulates a full disk.
  const ProgramLimits small = {.file_bytes = 4096};
  refused(run_program("ddpm_data",
                      {"synthetic-faces", "--count", "500", "--size", "8", "--out", path("out.npy")}, small),
          "out.npy");
  faces("60");
  refused(run_program("ddpm_data", {"reference", path("faces.npy"), "--npz", path("out.npz")}, small),
          "out.npz");
  refused(run_program("ddpm_data", {"export", path("faces.npy"), "--zip", path("out.zip")}, small),
          "out.zip");
  expect_no_output();
}

TEST_F(DataTest, InterruptLeavesNoFiles) {
  const TemporaryFolder logs;
  // Hours of drawing, unless the signal ends it.
  RunningProgram program("ddpm_data",
                         {"synthetic-faces", "--count", "100000", "--size", "512", "--out", path("out.npy")},
                         logs.path());
  // The array grows beside its final name.
  while (fs::is_empty(folder_.path())) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  program.send(SIGINT);
  const ProgramResult result = program.wait();
  EXPECT_EQ(result.exit_code, 1) << result.err;
  EXPECT_THAT(result.err, HasSubstr("nothing was written"));
  expect_no_output();
}

}  // namespace
}  // namespace ddpm
