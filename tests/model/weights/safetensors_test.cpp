// safetensors files: a file by the format's own library is read, and written again to the same bytes; and
// each way in which a file can contradict itself is refused with a sentence that says where.
#include "model/weights/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "support/atomic_file.h"
#include "support/error.h"
#include "tests/temporary_folder.h"

namespace ddpm {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

// Written by scripts/make_safetensors_fixture.py.
const std::filesystem::path kFixture = std::filesystem::path(DDPM_TEST_FIXTURES) / "all_types.safetensors";

// A file of this header and this much data.
std::string file_text(const std::string& header, size_t data_bytes) {
  const uint64_t length = header.size();
  std::string text(sizeof(length), '\0');
  std::memcpy(text.data(), &length, sizeof(length));
  return text + header + std::string(data_bytes, '\x01');
}

// What the reader says about a file of these bytes; empty where it takes them.
std::string complaint(const std::string& text) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "model.safetensors";
  write_file_atomically(path, text);
  try {
    const SafetensorsFile file(path);
    return "";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr(path.string()));
    return error.what();
  }
}

TEST(SafetensorsFile, ReadsAFileOfTheFormatsOwnLibrary) {
  const SafetensorsFile file(kFixture);
  EXPECT_THAT(file.metadata(), ElementsAre(Pair("format", "pt")));
  EXPECT_EQ(file.tensors().size(), 12u);
  EXPECT_THAT(file.tensor("single").shape, ElementsAre(2, 3));
  EXPECT_THAT(file.values<float>("single"),
              ElementsAre(0.0f, -1.5f, std::numeric_limits<float>::max(),
                          std::numeric_limits<float>::denorm_min(), 2.0f, 0.5f));
  EXPECT_THAT(file.values<double>("double"), ElementsAre(0.1, -1e300));
  EXPECT_THAT(file.values<float>("half"), ElementsAre(1.0f, -2.0f, 65504.0f, 0x1p-24f, INFINITY, -0.0f));
  EXPECT_TRUE(std::signbit(file.values<float>("half")[5]));
  EXPECT_THAT(file.values<float>("brain"), ElementsAre(1.0f, -3.0f, 0x1.fep127f));
  EXPECT_THAT(file.values<int64_t>("long"), ElementsAre(-9007199254740993));
  EXPECT_THAT(file.values<int64_t>("int"), ElementsAre(std::numeric_limits<int32_t>::min(), 7));
  EXPECT_THAT(file.values<int64_t>("signed"), ElementsAre(-128, -1, 127));
  EXPECT_THAT(file.values<int64_t>("byte"), ElementsAre(0, 127, 255));
  EXPECT_THAT(file.values<int64_t>("flag"), ElementsAre(1, 0));
  EXPECT_THAT(file.tensor("scalar").shape, IsEmpty());
  EXPECT_THAT(file.values<float>("scalar"), ElementsAre(42.0f));
  EXPECT_THAT(file.tensor("empty").shape, ElementsAre(0, 5));
  EXPECT_THAT(file.values<float>("empty"), IsEmpty());
  EXPECT_THAT(file.values<int64_t>("größe/\"quoted\""), ElementsAre(-3));
}

TEST(SafetensorsFile, RefusesUnknownNamesAndTypes) {
  const SafetensorsFile file(kFixture);
  EXPECT_FALSE(file.contains("none"));
  EXPECT_THROW(file.tensor("none"), InputError);
  EXPECT_THROW(file.values<float>("long"), InputError);
  EXPECT_THROW(file.values<int64_t>("single"), InputError);
}

TEST(WriteSafetensors, WritesTheSameBytesAsTheFormatsOwnLibrary) {
  const TemporaryFolder folder;
  const SafetensorsFile file(kFixture);
  std::vector<SafetensorsEntry> entries;
  for (const auto& [name, view] : file.tensors())
    entries.push_back({name, view.type, view.shape, view.bytes});
  ASSERT_FALSE(entries.empty());
  write_safetensors(folder.path() / "copy", entries, file.metadata());
  EXPECT_EQ(read_file(folder.path() / "copy"), read_file(kFixture));
}

TEST(WriteSafetensors, AlignsTheDataAndTheTensors) {
  const TemporaryFolder folder;
  const std::vector<uint8_t> bytes = {1, 2, 3};
  const std::vector<float> floats = {1.5f, 2.5f};
  const std::vector<double> doubles = {0.25};
  for (const std::string name : {"a", "ab", "abc", "abcd", "abcde", "abcdef", "abcdefg", "abcdefgh"}) {
    const auto path = folder.path() / name;
    write_safetensors(path, {{"b." + name, SafetensorsType::kU8, {3}, bytes},
                             {"f." + name, SafetensorsType::kF32, {1, 2}, as_byte_span(std::span(floats))},
                             {"d." + name, SafetensorsType::kF64, {1}, as_byte_span(std::span(doubles))}});
    const SafetensorsFile file(path);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(file.tensor("f." + name).bytes.data()) % sizeof(float), 0u);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(file.tensor("d." + name).bytes.data()) % sizeof(double), 0u);
    EXPECT_EQ(file.values<float>("f." + name), floats);
    EXPECT_EQ(file.values<double>("d." + name), doubles);
  }
}

TEST(WriteSafetensors, WritesAFileWithoutTensors) {
  const TemporaryFolder folder;
  write_safetensors(folder.path() / "none", {}, {});
  EXPECT_THAT(SafetensorsFile(folder.path() / "none").tensors(), IsEmpty());
}

TEST(WriteSafetensors, RefusesInvalidEntries) {
  const TemporaryFolder folder;
  const std::vector<uint8_t> bytes = {1, 2, 3};
  const auto write = [&](std::vector<SafetensorsEntry> entries) {
    write_safetensors(folder.path() / "a", std::move(entries));
  };
  EXPECT_THROW(write({{"a", SafetensorsType::kU8, {4}, bytes}}), LogicError);
  EXPECT_THROW(write({{"a", SafetensorsType::kU8, {3}, bytes}, {"a", SafetensorsType::kU8, {3}, bytes}}),
               LogicError);
  EXPECT_THROW(write({{"__metadata__", SafetensorsType::kU8, {3}, bytes}}), LogicError);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

// The header need not end at a multiple of eight: files of the format's first years do not pad it.
TEST(SafetensorsFile, ReadsUnalignedData) {
  const TemporaryFolder folder;
  std::string text = file_text(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 0);
  ASSERT_NE(text.size() % sizeof(float), 0u);
  const float values[] = {1.25f, -8.0f};
  text.append(reinterpret_cast<const char*>(values), sizeof(values));
  write_file_atomically(folder.path() / "a", text);
  EXPECT_THAT(SafetensorsFile(folder.path() / "a").values<float>("x"), ElementsAre(1.25f, -8.0f));
}

TEST(SafetensorsFile, RefusesFilesTruncatedAnywhere) {
  const std::string whole = read_file(kFixture);
  ASSERT_EQ(complaint(whole), "");
  for (size_t length = 0; length < whole.size(); length += 1 + length / 16)
    EXPECT_NE(complaint(whole.substr(0, length)), "") << length;
  EXPECT_NE(complaint(whole.substr(0, whole.size() - 1)), "");
}

TEST(SafetensorsFile, RefusesAMissingFileAndAFolder) {
  const TemporaryFolder folder;
  EXPECT_THROW(SafetensorsFile(folder.path() / "none"), InputError);
  EXPECT_THROW(SafetensorsFile(folder.path()), InputError);
}

TEST(SafetensorsFile, RefusesAHeaderOfWrongLength) {
  std::string text = file_text("{}", 0);
  EXPECT_EQ(complaint(text), "");
  text[0] = 3;
  EXPECT_THAT(complaint(text), HasSubstr("claims 3 bytes, but only 2 follow"));
  text.replace(0, 8, std::string(8, '\xff'));
  EXPECT_THAT(complaint(text), HasSubstr("above the format's limit"));
  EXPECT_THAT(complaint(""), HasSubstr("too few"));
  EXPECT_THAT(complaint(std::string(8, '\0')), HasSubstr("does not begin with '{'"));
}

struct BadHeader {
  const char* name;
  const char* header;
  size_t data_bytes;
  const char* complaint;
};
std::ostream& operator<<(std::ostream& stream, const BadHeader& bad) { return stream << bad.header; }

class BadHeaders : public testing::TestWithParam<BadHeader> {};

TEST_P(BadHeaders, AreRefusedWithTheReason) {
  EXPECT_THAT(complaint(file_text(GetParam().header, GetParam().data_bytes)),
              HasSubstr(GetParam().complaint));
}

const BadHeader kBadHeaders[] = {
    {"NotJson", "{\"x\":", 0, "not valid JSON"},
    {"LeadingSpace", " {}", 0, "does not begin"},
    {"Array", "[]", 0, "does not begin"},
    {"TextAfterTheEnd", "{} {}", 0, "not valid JSON"},
    {"InvalidUtf8", "{\"\xff\":1}", 0, "not valid JSON"},
    {"DeepNesting", R"({"x":{"dtype":"U8","shape":[[[[[[1]]]]]],"data_offsets":[0,1]}})", 1,
     "nested too deeply"},
    {"RepeatedName",
     R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"x":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
     2, "'x' occurs twice"},
    {"RepeatedField", R"({"x":{"dtype":"U8","shape":[1],"shape":[2],"data_offsets":[0,1]}})", 1,
     "'shape' occurs twice"},
    {"EntryIsNumber", R"({"x":1})", 0, "tensor 'x': its entry must hold"},
    {"MissingField", R"({"x":{"dtype":"U8","shape":[1]}})", 1, "must hold dtype, shape and data_offsets"},
    {"ExtraField", R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"more":1}})", 1,
     "and nothing else"},
    {"UnknownType", R"({"x":{"dtype":"F7","shape":[1],"data_offsets":[0,1]}})", 1, "dtype \"F7\" is unknown"},
    {"TypeIsNumber", R"({"x":{"dtype":7,"shape":[1],"data_offsets":[0,1]}})", 1, "dtype 7 is unknown"},
    {"NegativeSize", R"({"x":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", 1,
     "shape is not a list of sizes"},
    {"FractionalSize", R"({"x":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})", 1,
     "shape is not a list"},
    {"ShapeIsNumber", R"({"x":{"dtype":"U8","shape":1,"data_offsets":[0,1]}})", 1, "shape is not a list"},
    {"OneOffset", R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0]}})", 1, "not two positions"},
    {"NegativeOffset", R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}})", 1, "not two positions"},
    {"SizeOverflow", R"({"x":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0,
     "too large"},
    {"ByteOverflow", R"({"x":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}})", 0,
     "too large"},
    {"EmptyButHuge", R"({"x":{"dtype":"U8","shape":[0,18446744073709551615],"data_offsets":[0,0]}})", 0,
     "too large"},
    {"TooManyBytes", R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,12]}})", 12,
     "make 8 bytes, but its data_offsets 12"},
    {"TooFewBytes", R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4,
     "make 8 bytes, but its data_offsets 4"},
    {"Reversed", R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}})", 1, "spans 1 to 0"},
    {"PastTheEnd", R"({"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 1,
     "the file holds 1 bytes of data"},
    {"HugeOffset",
     R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[18446744073709551614,18446744073709551615]}})", 1,
     "the file holds 1 bytes"},
    {"Overlap",
     R"({"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"y":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
     3, "'y' overlaps"},
    {"HoleAtTheStart", R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", 2, "before tensor 'x'"},
    {"HoleBetween",
     R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"y":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}})",
     3, "bytes 1 to 2 of the data, before tensor 'y'"},
    {"HoleAtTheEnd", R"({"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 3,
     "2 bytes after the last tensor"},
    {"MetadataIsList", R"({"__metadata__":[]})", 0, "__metadata__ is not an object"},
    {"MetadataHoldsNumber", R"({"__metadata__":{"a":1}})", 0, "'a' that is not text"},
};
INSTANTIATE_TEST_SUITE_P(SafetensorsFile, BadHeaders, testing::ValuesIn(kBadHeaders),
                         [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace ddpm
