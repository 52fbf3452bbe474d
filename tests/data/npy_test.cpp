// .npy and .npz, byte by byte; resize_test.cpp reads fixtures that NumPy itself wrote.
#include "data/npy.h"

#include <gmock/gmock.h>
#include <sys/resource.h>

#include <csignal>

#include "data/npz.h"
#include "data/zip_reader.h"
#include "data/zip_writer.h"
#include "tests/data/pattern.h"
#include "tests/temporary_folder.h"

namespace ddpm {
namespace {

using testing::HasSubstr;

std::string npy_file(const std::string& dictionary, size_t data_bytes, char major = 1) {
  std::string file = "\x93NUMPY";
  file +=
      {major, '\0', static_cast<char>(dictionary.size() & 0xff), static_cast<char>(dictionary.size() >> 8)};
  if (major > 1) file += std::string(2, '\0');
  return file + dictionary + std::string(data_bytes, 'x');
}

std::string parse_error(const std::string& file) {
  return input_error([&] {
    parse_npy<uint8_t>({reinterpret_cast<const uint8_t*>(file.data()), file.size()}, "broken.npy");
  });
}

TEST(Npy, HeaderFollowsTheFormat) {
  const std::string header = npy_header("|u1", std::vector<int64_t>{2, 3});
  EXPECT_EQ(header.size() % 64, 0U);
  EXPECT_THAT(header, testing::StartsWith(std::string("\x93NUMPY\x01\x00\x76\x00", 10)));
  EXPECT_THAT(header, HasSubstr("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }"));
  EXPECT_EQ(header.back(), '\n');
  EXPECT_THAT(npy_header("<i4", std::vector<int64_t>{7}), HasSubstr("'shape': (7,), "));
}

TEST(Npy, RoundTrip) {
  const TemporaryFolder folder;
  const std::vector<int32_t> values = {-1, 0, 70000, 3, 4, 5};
  write_npy<int32_t>(folder.path() / "a.npy", values, std::vector<int64_t>{3, 2});
  const NpyArray<int32_t> array = read_npy<int32_t>(folder.path() / "a.npy");
  EXPECT_EQ(array.values, values);
  EXPECT_EQ(array.shape, (std::vector<int64_t>{3, 2}));
}

TEST(Npy, ReadsVersionsTwoAndThree) {
  for (const char major : {'\x02', '\x03'}) {
    const std::string file =
        npy_file("{'descr': '|u1', 'fortran_order': False, 'shape': (4,), }\n", 4, major);
    const auto array =
        parse_npy<uint8_t>({reinterpret_cast<const uint8_t*>(file.data()), file.size()}, "v2.npy");
    EXPECT_EQ(array.values.size(), 4U);
  }
}

TEST(Npy, EachMalformedFileIsAnErrorWithItsReason) {
  const std::string good = "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }\n";
  EXPECT_EQ(parse_error(npy_file(good, 6)), "");
  EXPECT_THAT(parse_error(""), HasSubstr("first bytes"));
  EXPECT_THAT(parse_error("PK\x03\x04 a zip archive"), HasSubstr("first bytes"));
  EXPECT_THAT(parse_error("\x93NUMPY\x01"), HasSubstr("ends inside its header"));
  EXPECT_THAT(parse_error(npy_file(good, 6).substr(0, 30)), HasSubstr("ends inside its header"));
  EXPECT_THAT(parse_error(npy_file(good, 6, 9)), HasSubstr("version 9.0"));
  EXPECT_THAT(parse_error(npy_file(good, 5)), HasSubstr("cut short"));
  EXPECT_THAT(parse_error(npy_file(good, 7)), HasSubstr("1 bytes after"));
  EXPECT_THAT(parse_error(npy_file("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", 24)),
              HasSubstr("dtype <f4"));
  EXPECT_THAT(parse_error(npy_file("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }", 6)),
              HasSubstr("Fortran"));
  EXPECT_THAT(parse_error(npy_file("{'fortran_order': False, 'shape': (2, 3), }", 6)),
              HasSubstr("lacks 'descr'"));
  EXPECT_THAT(
      parse_error(npy_file("{'descr': [('a', '|u1')], 'fortran_order': False, 'shape': (2, 3), }", 6)),
      HasSubstr("structured"));
  EXPECT_THAT(parse_error(npy_file("{'descr': '|u1', 'fortran_order': 0, 'shape': (2, 3), }", 6)),
              HasSubstr("neither True nor False"));
  EXPECT_THAT(parse_error(npy_file("{'descr': '|u1', 'fortran_order': False, 'shape': (2, -3), }", 6)),
              HasSubstr("not a size"));
  EXPECT_THAT(parse_error(npy_file("{'descr': '|u1', 'fortran_order': False, 'shape': 6, }", 6)),
              HasSubstr("not a tuple"));
}

// 2^32 * 2^32 wraps to 0 and 2^62 * 3 to a negative number: neither may pass for a small array. 2^62 * 2 * 0
// is an empty array, but its product overflows on the way.
TEST(Npy, ShapeWhoseProductOverflowsIsAnError) {
  for (const char* shape : {"(4294967296, 4294967296)", "(4611686018427387904, 3)", "(99999999999999999999,)",
                            "(4611686018427387904, 2, 0)"})
    EXPECT_THAT(parse_error(npy_file(
                    fmt::format("{{'descr': '|u1', 'fortran_order': False, 'shape': {}, }}", shape), 6)),
                HasSubstr("broken.npy: not a usable .npy file"));
}

TEST(Npz, StoresArraysLikeNumpy) {
  const TemporaryFolder folder;
  const Image image = pattern(4, 3, 3);
  std::vector<uint8_t> pixels = image.pixels;
  pixels.insert(pixels.end(), image.pixels.begin(), image.pixels.end());
  const std::vector<int32_t> labels = {7, 9};
  write_npz(folder.path() / "samples.npz", {.image = [&](int64_t) { return image.pixels; },
                                            .count = 2,
                                            .height = 3,
                                            .width = 4,
                                            .channels = 3,
                                            .labels = labels});
  const ZipReader zip(folder.path() / "samples.npz");
  ASSERT_EQ(zip.count(), 2);
  EXPECT_EQ(zip.name(0), "arr_0.npy");
  EXPECT_EQ(zip.name(1), "arr_1.npy");
  const NpyArray<uint8_t> stored = parse_npy<uint8_t>(zip.read(0), "arr_0.npy");
  EXPECT_EQ(stored.shape, (std::vector<int64_t>{2, 3, 4, 3}));
  EXPECT_EQ(stored.values, pixels);
  EXPECT_EQ(parse_npy<int32_t>(zip.read(1), "arr_1.npy").values, labels);
  // Stored, not compressed: the file is larger than its content.
  EXPECT_GT(std::filesystem::file_size(folder.path() / "samples.npz"), pixels.size());
}

// A limit on the file size simulates a full disk.
TEST(Npz, FullDiskIsAnErrorAndLeavesNothing) {
  const TemporaryFolder folder;
  const std::vector<uint8_t> pixels(size_t{200} * 1000 * 3);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{64 * 1024, before.rlim_max};
  std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string error = input_error([&] {
    write_npz(
        folder.path() / "a.npz",
        {.image = [&](int64_t) { return pixels; }, .count = 1, .height = 200, .width = 1000, .channels = 3});
  });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, SIG_DFL);
  EXPECT_THAT(error, HasSubstr("a.npz"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Npz, ImageErrorsPropagateAndLeaveNothing) {
  const TemporaryFolder folder;
  const auto third_fails = [](int64_t i) {
    if (i == 2) throw_input("no third image");
    return std::vector<uint8_t>(3);
  };
  EXPECT_EQ(input_error([&] {
              write_npz(folder.path() / "a.npz", {.image = third_fails, .count = 5, .height = 1, .width = 1});
            }),
            "no third image");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Npz, UnwritableFolderIsAnError) {
  const std::vector<uint8_t> pixels(3);
  EXPECT_THAT(input_error([&] {
                write_npz("/nonexistent/samples.npz",
                          {.image = [&](int64_t) { return pixels; }, .count = 1, .height = 1, .width = 1});
              }),
              HasSubstr("/nonexistent/samples.npz"));
}

// CelebA has 202,599 images; beyond 65,535 members an archive needs the zip64 form.
TEST(ZipWriter, HoldsMoreThan65535Members) {
  constexpr int64_t kMembers = 70'000;
  const TemporaryFolder folder;
  ZipWriter writer(folder.path() / "many.zip");
  for (int64_t i = 0; i < kMembers; ++i)
    writer.add(fmt::format("{}", i), [i] { return std::vector<uint8_t>{static_cast<uint8_t>(i)}; });
  writer.commit();
  const ZipReader reader(folder.path() / "many.zip");
  ASSERT_EQ(reader.count(), kMembers);
  for (const int64_t i : {int64_t{0}, int64_t{65'535}, int64_t{65'536}, kMembers - 1}) {
    EXPECT_EQ(reader.name(i), fmt::format("{}", i));
    EXPECT_EQ(reader.read(i), std::vector<uint8_t>{static_cast<uint8_t>(i)});
  }
}

TEST(ZipWriter, ContentErrorsPropagateAndLeaveNothing) {
  const TemporaryFolder folder;
  ZipWriter writer(folder.path() / "a.zip");
  writer.add("good", [] { return std::vector<uint8_t>{1}; });
  writer.add("bad", []() -> std::vector<uint8_t> { throw_input("no content"); });
  EXPECT_EQ(input_error([&] { writer.commit(); }), "no content");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

}  // namespace
}  // namespace ddpm
