// TensorBoard's event files, decoded here by the formats' own descriptions; scripts/read_tensorboard.py holds
// them to TensorBoard itself.
#include "model/training/tensorboard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <map>
#include <span>
#include <stdexcept>

#include "data/png.h"
#include "model/training/run_folder.h"
#include "support/atomic_file.h"
#include "tests/model/expect_input_error.h"
#include "tests/temporary_folder.h"

namespace ddpm {
namespace {

using ::testing::ElementsAre;

// RFC 3720, appendix B.4, and the check value of the CRC catalogues.
TEST(Crc32c, KnownAnswers) {
  EXPECT_EQ(crc32c(""), 0u);
  EXPECT_EQ(crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
}

template <typename T>
T load(std::string_view bytes) {
  if (bytes.size() < sizeof(T)) throw std::runtime_error("cut short");
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

std::string_view take(std::string_view& text, size_t count) {
  if (count > text.size()) throw std::runtime_error("cut short");
  const std::string_view taken = text.substr(0, count);
  text.remove_prefix(count);
  return taken;
}

// The records of a TFRecord file, both checksums held against a second form of the mask.
std::vector<std::string> read_records(const std::string& file) {
  const auto masked = [](std::string_view bytes) {
    const uint32_t crc = crc32c(bytes);
    return static_cast<uint32_t>(((crc >> 15) | (crc << 17)) + 0xa282ead8ull);
  };
  std::vector<std::string> records;
  std::string_view rest = file;
  while (!rest.empty()) {
    const std::string_view length = take(rest, 8);
    EXPECT_EQ(load<uint32_t>(take(rest, 4)), masked(length));
    const std::string_view record = take(rest, load<uint64_t>(length));
    EXPECT_EQ(load<uint32_t>(take(rest, 4)), masked(record));
    records.emplace_back(record);
  }
  return records;
}

uint64_t take_varint(std::string_view& text) {
  uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    const auto byte = static_cast<uint8_t>(take(text, 1)[0]);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
}

// A protobuf message as its fields' bytes, by number and in order; a varint as eight bytes.
std::multimap<int, std::string> fields(std::string_view message) {
  std::multimap<int, std::string> found;
  while (!message.empty()) {
    const uint64_t key = take_varint(message);
    const auto number = static_cast<int>(key >> 3);
    switch (key & 7) {
      case 0: {
        const uint64_t value = take_varint(message);
        found.emplace(number, std::string(reinterpret_cast<const char*>(&value), sizeof(value)));
        break;
      }
      case 1:
        found.emplace(number, take(message, 8));
        break;
      case 2:
        found.emplace(number, take(message, take_varint(message)));
        break;
      case 5:
        found.emplace(number, take(message, 4));
        break;
      default:
        throw std::runtime_error("unknown wire type");
    }
  }
  return found;
}

std::string only(const std::multimap<int, std::string>& message, int field) {
  EXPECT_EQ(message.count(field), 1u) << "field " << field;
  const auto found = message.find(field);
  return found == message.end() ? std::string(8, '\0') : found->second;
}

TEST(TensorBoard, FileStartsWithVersionAndNextStep) {
  const TemporaryFolder folder;
  const TensorBoardWriter writer(folder.path(), 300);
  const std::vector<std::string> records = read_records(read_file(writer.path()));
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(only(fields(records[0]), 3), "brain.Event:2");
  const auto start = fields(records[1]);
  EXPECT_EQ(load<int64_t>(only(start, 2)), 301) << "what earlier files hold from this step on is dropped";
  EXPECT_EQ(load<int64_t>(only(fields(only(start, 7)), 1)), 1) << "SessionLog.START";
  EXPECT_GT(load<double>(only(start, 1)), 1.7e9) << "seconds since 1970";
}

TEST(TensorBoard, ScalarsAreTaggedFloatsOfOneStep) {
  const TemporaryFolder folder;
  TensorBoardWriter writer(folder.path(), 0);
  writer.add_scalars(70000, {{"loss", 0.25}, {"group/learning_rate", 2e-4}});
  const auto event = fields(read_records(read_file(writer.path())).at(2));
  EXPECT_EQ(load<int64_t>(only(event, 2)), 70000);
  std::vector<std::string> tags;
  std::vector<float> values;
  for (const auto& [number, value] : fields(only(event, 5))) {
    EXPECT_EQ(number, 1);
    tags.push_back(only(fields(value), 1));
    values.push_back(load<float>(only(fields(value), 2)));
  }
  EXPECT_THAT(tags, ElementsAre("loss", "group/learning_rate"));
  EXPECT_THAT(values, ElementsAre(0.25f, 2e-4f));
}

TEST(TensorBoard, ImageIsAPngWithItsSize) {
  const TemporaryFolder folder;
  TensorBoardWriter writer(folder.path(), 0);
  Image image(300, 2, 3);
  for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = static_cast<uint8_t>(i * 7);
  writer.add_image(5, "samples", image);
  const auto value = fields(only(fields(only(fields(read_records(read_file(writer.path())).at(2)), 5)), 1));
  EXPECT_EQ(only(value, 1), "samples");
  const auto picture = fields(only(value, 4));
  EXPECT_EQ(load<int64_t>(only(picture, 1)), 2);
  EXPECT_EQ(load<int64_t>(only(picture, 2)), 300);
  EXPECT_EQ(load<int64_t>(only(picture, 3)), 3);
  const std::string png = only(picture, 4);
  EXPECT_EQ(decode_png({reinterpret_cast<const uint8_t*>(png.data()), png.size()}, "image").pixels,
            image.pixels);
}

TEST(TensorBoard, RefusesUnwritableFolder) {
  expect_input_error([] { TensorBoardWriter("/proc/none", 0); }, ::testing::HasSubstr("/proc/none"));
}

// A killed run leaves half a record; what comes later must not stand behind it.
TEST(TensorBoard, ResumedRunWritesAnotherFile) {
  const TemporaryFolder folder;
  TrainingMetrics metrics;
  metrics.loss.add(0.5);
  metrics.loss_by_quarter[3].add(0.5);
  for (const int64_t step : {0, 20}) {
    RunFolder run(folder.path(), EventFiles::kTensorBoard);
    run.resume(step);
    run.add_metrics(step + 10, metrics, {.images_per_second = 3});
  }
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    if (entry.path().filename().string().starts_with("events.out.tfevents.")) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  ASSERT_EQ(files.size(), 2u);
  for (int file = 0; file < 2; ++file) {
    const auto event = fields(read_records(read_file(files[file])).at(2));
    EXPECT_EQ(load<int64_t>(only(event, 2)), 20 * file + 10);
    EXPECT_EQ(fields(only(event, 5)).size(), 5u)
        << "loss, one quarter, gradient norm, learning rate, images/s";
  }
}

}  // namespace
}  // namespace ddpm
