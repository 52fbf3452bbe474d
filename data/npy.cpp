#include "data/npy.h"

#include <fmt/ranges.h>

#include <charconv>

namespace ddpm {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kAlignment = 64;

[[noreturn]] void malformed(const std::filesystem::path& path, std::string_view reason) {
  throw_input("{}: not a usable .npy file: {}; write it again with ddpm_data or numpy.save", path.string(),
              reason);
}

std::string_view trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

// The text after "'key':" in the header's Python dictionary.
std::string_view value_of(std::string_view dictionary, std::string_view key,
                          const std::filesystem::path& path) {
  const std::string quoted = fmt::format("'{}'", key);
  const size_t at = dictionary.find(quoted);
  if (at == std::string_view::npos) malformed(path, fmt::format("its header lacks {}", quoted));
  const std::string_view rest = trimmed(dictionary.substr(at + quoted.size()));
  if (rest.empty() || rest.front() != ':')
    malformed(path, fmt::format("its header has no value for {}", quoted));
  return trimmed(rest.substr(1));
}

std::string parse_dtype(std::string_view text, const std::filesystem::path& path) {
  const size_t end = text.size() < 2 ? std::string_view::npos : text.find(text.front(), 1);
  if (end == std::string_view::npos || (text.front() != '\'' && text.front() != '"'))
    malformed(path, "its dtype is not a plain type (a structured array?)");
  return std::string(text.substr(1, end - 1));
}

bool parse_bool(std::string_view text, const std::filesystem::path& path) {
  if (text.starts_with("True")) return true;
  if (text.starts_with("False")) return false;
  malformed(path, "'fortran_order' is neither True nor False");
}

std::vector<int64_t> parse_shape(std::string_view text, const std::filesystem::path& path) {
  const size_t end = text.find(')');
  if (text.empty() || text.front() != '(' || end == std::string_view::npos)
    malformed(path, "its shape is not a tuple");
  std::string_view rest = text.substr(1, end - 1);
  std::vector<int64_t> shape;
  while (!(rest = trimmed(rest)).empty()) {
    int64_t extent = 0;
    const auto [stop, code] = std::from_chars(rest.data(), rest.data() + rest.size(), extent);
    if (code != std::errc() || extent < 0) malformed(path, "its shape has an entry that is not a size");
    shape.push_back(extent);
    rest = trimmed(rest.substr(static_cast<size_t>(stop - rest.data())));
    if (!rest.empty() && rest.front() != ',') malformed(path, "its shape is not a list of sizes");
    if (!rest.empty()) rest.remove_prefix(1);
  }
  return shape;
}

// False if the product of the shape and the element size overflows, even when a later extent is 0: so
// element_count() cannot overflow afterwards.
bool byte_count(const std::vector<int64_t>& shape, size_t element_bytes, size_t& bytes) {
  auto product = static_cast<int64_t>(element_bytes);
  for (const int64_t extent : shape)
    if (__builtin_mul_overflow(product, extent, &product)) return false;
  bytes = static_cast<size_t>(product);
  return true;
}

}  // namespace

int64_t NpyHeader::element_count() const {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return count;
}

NpyHeader parse_npy_header(std::span<const uint8_t> file, const std::filesystem::path& path) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  if (!text.starts_with(kMagic)) malformed(path, "its first bytes are not NumPy's");
  if (text.size() < 10) malformed(path, "it ends inside its header");
  const int major = file[6];
  if (major < 1 || major > 3 || file[7] != 0)
    malformed(path, fmt::format("format version {}.{} is unknown", major, file[7]));
  const size_t length_bytes = major == 1 ? 2 : 4;
  const size_t start = 8 + length_bytes;
  if (text.size() < start) malformed(path, "it ends inside its header");
  size_t length = 0;
  for (size_t i = 0; i < length_bytes; ++i) length |= size_t{file[8 + i]} << (8 * i);
  if (length > text.size() - start) malformed(path, "it ends inside its header");
  const std::string_view dictionary = text.substr(start, length);
  return {.dtype = parse_dtype(value_of(dictionary, "descr", path), path),
          .fortran_order = parse_bool(value_of(dictionary, "fortran_order", path), path),
          .shape = parse_shape(value_of(dictionary, "shape", path), path),
          .data_offset = start + length};
}

NpyHeader check_npy(std::span<const uint8_t> file, std::string_view dtype, size_t element_bytes,
                    const std::filesystem::path& path) {
  NpyHeader header = parse_npy_header(file, path);
  if (header.dtype != dtype)
    throw_input("{}: has dtype {}, expected {}: convert it in NumPy with .astype", path.string(),
                header.dtype, dtype);
  if (header.fortran_order)
    throw_input("{}: is in Fortran order, expected C order: convert it with numpy.ascontiguousarray",
                path.string());
  size_t promised = 0;
  const size_t present = file.size() - header.data_offset;
  if (!byte_count(header.shape, element_bytes, promised) || promised > present)
    malformed(path, fmt::format("its shape ({}) needs more data than its {} bytes, it was cut short",
                                fmt::join(header.shape, ", "), present));
  if (promised < present)
    malformed(path, fmt::format("it has {} bytes after the {} of its shape ({})", present - promised,
                                promised, fmt::join(header.shape, ", ")));
  return header;
}

std::string npy_header(std::string_view dtype, std::span<const int64_t> shape) {
  // A tuple of one element has a comma: (5,).
  std::string dictionary = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}", dtype,
                                       fmt::join(shape, ", "), shape.size() == 1 ? "," : "");
  const size_t before = kMagic.size() + 4;
  const size_t total = (before + dictionary.size() + 1 + kAlignment - 1) / kAlignment * kAlignment;
  dictionary.resize(total - before - 1, ' ');
  dictionary.push_back('\n');
  std::string header(kMagic);
  header += {'\x01', '\x00', static_cast<char>(dictionary.size() & 0xff),
             static_cast<char>(dictionary.size() >> 8)};
  return header + dictionary;
}

}  // namespace ddpm
