#include "model/weights/safetensors.h"

#include <algorithm>
#include <bit>
#include <concepts>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <type_traits>
#include <utility>

#include "support/atomic_file.h"
#include "support/enum_names.h"
#include "support/error.h"

namespace ddpm {
namespace {

static_assert(std::endian::native == std::endian::little,
              "the format is little-endian, and views are not swapped");

constexpr EnumName<SafetensorsType> kTypes[] = {
    {SafetensorsType::kBool, "BOOL"},      {SafetensorsType::kU8, "U8"},
    {SafetensorsType::kI8, "I8"},          {SafetensorsType::kF8E5M2, "F8_E5M2"},
    {SafetensorsType::kF8E4M3, "F8_E4M3"}, {SafetensorsType::kI16, "I16"},
    {SafetensorsType::kU16, "U16"},        {SafetensorsType::kF16, "F16"},
    {SafetensorsType::kBF16, "BF16"},      {SafetensorsType::kI32, "I32"},
    {SafetensorsType::kU32, "U32"},        {SafetensorsType::kF32, "F32"},
    {SafetensorsType::kF64, "F64"},        {SafetensorsType::kI64, "I64"},
    {SafetensorsType::kU64, "U64"},
};

constexpr const char* kMetadata = "__metadata__";
constexpr size_t kLengthBytes = 8;
constexpr size_t kMaxHeaderBytes = 100'000'000;  // the limit of the format's own reader

// A tensor's bytes in the data, from `begin` to `end`.
struct Extent {
  uint64_t begin;
  uint64_t end;
  std::string name;
};

// Refuses repeated names, of which the JSON library would keep the last in silence, and nesting deeper than
// the format's.
class StrictStructure {
 public:
  explicit StrictStructure(const std::string& path) : path_(path) {}

  bool operator()(int depth, nlohmann::json::parse_event_t event, nlohmann::json& value) {
    using Event = nlohmann::json::parse_event_t;
    constexpr int kMaxDepth = 3;  // the header, a tensor, its shape
    if (depth > kMaxDepth) throw_input("{}: the header is nested too deeply for a safetensors file", path_);
    if (event == Event::object_start) names_.emplace_back();
    if (event == Event::object_end) names_.pop_back();
    if (event == Event::key && !names_.back().insert(value.get<std::string>()).second)
      throw_input("{}: '{}' occurs twice in the header", path_, value.get<std::string>());
    return true;
  }

 private:
  const std::string& path_;
  std::vector<std::set<std::string>> names_;
};

// The header's text, its length checked.
std::string_view header_text(std::span<const uint8_t> file, const std::string& path) {
  if (file.size() < kLengthBytes)
    throw_input("{}: {} bytes are too few for a safetensors file; it may be cut off", path, file.size());
  uint64_t length = 0;
  std::memcpy(&length, file.data(), kLengthBytes);
  if (length > kMaxHeaderBytes)
    throw_input("{}: the header claims {} bytes, above the format's limit of {}; is this a safetensors file?",
                path, length, kMaxHeaderBytes);
  if (length > file.size() - kLengthBytes)
    throw_input("{}: the header claims {} bytes, but only {} follow; the file may be cut off", path, length,
                file.size() - kLengthBytes);
  return {reinterpret_cast<const char*>(file.data()) + kLengthBytes, length};
}

nlohmann::json parse_header(std::string_view text, const std::string& path) {
  if (text.empty() || text.front() != '{')
    throw_input("{}: the header does not begin with '{{'; is this a safetensors file?", path);
  try {
    nlohmann::json header = nlohmann::json::parse(text, StrictStructure(path));
    return header;
  } catch (const nlohmann::json::exception& error) {
    throw_input("{}: the header is not valid JSON: {}", path, error.what());
  }
}

std::map<std::string, std::string> parse_metadata(const nlohmann::json& value, const std::string& path) {
  if (!value.is_object()) throw_input("{}: __metadata__ is not an object", path);
  std::map<std::string, std::string> metadata;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) throw_input("{}: __metadata__ holds '{}' that is not text", path, key);
    metadata[key] = text.get<std::string>();
  }
  return metadata;
}

bool is_list_of_unsigned(const nlohmann::json& value) {
  return value.is_array() &&
         std::all_of(value.begin(), value.end(), [](const auto& item) { return item.is_number_unsigned(); });
}

// a * b, or InputError where that is beyond 2^63.
uint64_t checked_product(uint64_t a, uint64_t b, const std::string& where) {
  constexpr uint64_t kLimit = std::numeric_limits<int64_t>::max();
  if (b != 0 && a > kLimit / b) throw_input("{}: its shape is too large for any file", where);
  return a * b;
}

// Reads one entry of the header; `where` names the file and the tensor.
std::pair<SafetensorsView, Extent> parse_tensor(const std::string& name, const nlohmann::json& entry,
                                                std::span<const uint8_t> data, const std::string& where) {
  if (!entry.is_object() || entry.size() != 3 || !entry.contains("dtype") || !entry.contains("shape") ||
      !entry.contains("data_offsets"))
    throw_input("{}: its entry must hold dtype, shape and data_offsets, and nothing else", where);
  const nlohmann::json& dtype = entry["dtype"];
  const nlohmann::json& shape = entry["shape"];
  const nlohmann::json& offsets = entry["data_offsets"];
  const auto* type =
      std::find_if(std::begin(kTypes), std::end(kTypes), [&](const auto& t) { return dtype == t.name; });
  if (type == std::end(kTypes)) throw_input("{}: its dtype {} is unknown here", where, dtype.dump());
  if (!is_list_of_unsigned(shape)) throw_input("{}: its shape is not a list of sizes", where);
  if (!is_list_of_unsigned(offsets) || offsets.size() != 2)
    throw_input("{}: its data_offsets are not two positions", where);

  SafetensorsView view = {type->value, {}, {}};
  uint64_t bytes = safetensors_type_bytes(view.type);
  for (const nlohmann::json& size : shape) {
    bytes = checked_product(bytes, size.get<uint64_t>(), where);
    if (size.get<uint64_t>() > std::numeric_limits<int64_t>::max())  // of a tensor that is empty all the same
      throw_input("{}: its shape is too large for any file", where);
    view.shape.push_back(size.get<int64_t>());
  }
  const auto begin = offsets[0].get<uint64_t>();
  const auto end = offsets[1].get<uint64_t>();
  if (begin > end || end > data.size())
    throw_input("{}: its data spans {} to {}, but the file holds {} bytes of data; it may be cut off", where,
                begin, end, data.size());
  if (end - begin != bytes)
    throw_input("{}: its shape and dtype make {} bytes, but its data_offsets {}", where, bytes, end - begin);
  view.bytes = data.subspan(begin, bytes);
  return {std::move(view), Extent{begin, end, name}};
}

// The tensors must cover the data from its first byte to its last, each byte once.
void check_coverage(std::vector<Extent> extents, uint64_t data_bytes, const std::string& path) {
  std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  uint64_t covered = 0;
  for (const Extent& extent : extents) {
    if (extent.begin < covered)
      throw_input("{}: tensor '{}' overlaps the one before it, at byte {} of the data", path, extent.name,
                  extent.begin);
    if (extent.begin > covered)
      throw_input("{}: bytes {} to {} of the data, before tensor '{}', belong to no tensor", path, covered,
                  extent.begin, extent.name);
    covered = extent.end;
  }
  if (covered != data_bytes)
    throw_input("{}: {} bytes after the last tensor belong to no tensor", path, data_bytes - covered);
}

template <typename Stored>
Stored load(const uint8_t* bytes) {
  Stored value;
  std::memcpy(&value, bytes, sizeof(value));
  return value;
}

float from_bfloat16(uint16_t half) { return std::bit_cast<float>(static_cast<uint32_t>(half) << 16); }

// IEEE 754 binary16: 1 sign, 5 exponent and 10 fraction bits.
float from_float16(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t exponent = (half >> 10) & 0x1f;
  const uint32_t fraction = half & 0x3ff;
  if (exponent == 0) {  // zero or subnormal: fraction * 2^-24
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  const uint32_t wide_exponent = exponent == 0x1f ? 0xff : exponent + (127 - 15);
  return std::bit_cast<float>(sign | (wide_exponent << 23) | (fraction << 13));
}

template <typename T, typename Convert>
std::vector<T> convert_all(const SafetensorsView& view, const Convert& convert) {
  const size_t stride = safetensors_type_bytes(view.type);
  std::vector<T> values(view.elements());
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<T>(convert(view.bytes.data() + i * stride));
  return values;
}

}  // namespace

std::string_view safetensors_type_name(SafetensorsType type) { return enum_name(kTypes, type); }

size_t safetensors_type_bytes(SafetensorsType type) {
  if (type <= SafetensorsType::kF8E4M3) return 1;
  if (type <= SafetensorsType::kBF16) return 2;
  return type <= SafetensorsType::kF32 ? 4 : 8;
}

template <typename T>
std::vector<T> safetensors_values(const SafetensorsView& view, std::string_view where) {
  if constexpr (std::floating_point<T>) {
    switch (view.type) {
      case SafetensorsType::kF64:
        return convert_all<T>(view, load<double>);
      case SafetensorsType::kF32:
        return convert_all<T>(view, load<float>);
      case SafetensorsType::kF16:
        return convert_all<T>(view, [](const uint8_t* p) { return from_float16(load<uint16_t>(p)); });
      case SafetensorsType::kBF16:
        return convert_all<T>(view, [](const uint8_t* p) { return from_bfloat16(load<uint16_t>(p)); });
      default:
        throw_input("{}: expected floating-point numbers, got {}", where, safetensors_type_name(view.type));
    }
  } else {
    switch (view.type) {
      case SafetensorsType::kBool:
      case SafetensorsType::kU8:
        return convert_all<T>(view, load<uint8_t>);
      case SafetensorsType::kI8:  // two's complement
        return convert_all<T>(view, [](const uint8_t* p) { return (*p ^ 0x80) - 0x80; });
      case SafetensorsType::kI16:
        return convert_all<T>(view, load<int16_t>);
      case SafetensorsType::kU16:
        return convert_all<T>(view, load<uint16_t>);
      case SafetensorsType::kI32:
        return convert_all<T>(view, load<int32_t>);
      case SafetensorsType::kU32:
        return convert_all<T>(view, load<uint32_t>);
      case SafetensorsType::kI64:
        return convert_all<T>(view, load<int64_t>);
      case SafetensorsType::kU64:
        return convert_all<T>(view, load<uint64_t>);
      default:
        throw_input("{}: expected integers, got {}", where, safetensors_type_name(view.type));
    }
  }
}

template std::vector<float> safetensors_values(const SafetensorsView& view, std::string_view where);
template std::vector<double> safetensors_values(const SafetensorsView& view, std::string_view where);
template std::vector<int64_t> safetensors_values(const SafetensorsView& view, std::string_view where);

SafetensorsFile::SafetensorsFile(const std::filesystem::path& path) : path_(path), file_(path) {
  const std::string file_name = path.string();
  const std::string_view text = header_text(file_.bytes(), file_name);
  const nlohmann::json header = parse_header(text, file_name);
  const std::span<const uint8_t> data = file_.bytes().subspan(kLengthBytes + text.size());
  std::vector<Extent> extents;
  for (const auto& [name, entry] : header.items()) {
    if (name == kMetadata) {
      metadata_ = parse_metadata(entry, file_name);
      continue;
    }
    auto [view, extent] = parse_tensor(name, entry, data, fmt::format("{}: tensor '{}'", file_name, name));
    tensors_.emplace(name, std::move(view));
    extents.push_back(std::move(extent));
  }
  check_coverage(std::move(extents), data.size(), file_name);
}

const SafetensorsView& SafetensorsFile::tensor(const std::string& name) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) throw_input("{}: there is no tensor '{}'", path_.string(), name);
  return found->second;
}

void write_safetensors(const std::filesystem::path& path, std::vector<SafetensorsEntry> entries,
                       const std::map<std::string, std::string>& metadata) {
  std::sort(entries.begin(), entries.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return a.type != b.type ? a.type > b.type : a.name < b.name;
  });
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  size_t offset = 0;
  for (const SafetensorsEntry& entry : entries) {
    size_t bytes = safetensors_type_bytes(entry.type);
    for (const int64_t size : entry.shape) bytes *= static_cast<size_t>(size);
    DDPM_CHECK(bytes == entry.bytes.size());
    DDPM_CHECK(entry.name != kMetadata && !header.contains(entry.name));
    header[entry.name] = {{"dtype", safetensors_type_name(entry.type)},
                          {"shape", entry.shape},
                          {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // the data that follows is aligned to 8 bytes

  AtomicFile file(path);
  const uint64_t length = text.size();
  file.write(&length, sizeof(length));
  file.write(text);
  for (const SafetensorsEntry& entry : entries) file.write(entry.bytes.data(), entry.bytes.size());
  file.commit();
}

}  // namespace ddpm
