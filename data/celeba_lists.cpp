#include "data/celeba_lists.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "support/atomic_file.h"
#include "support/error.h"

namespace ddpm {
namespace {

constexpr std::string_view kRemedy = "take the file from the official CelebA download again";

// Splits a text into lines of words; a carriage return counts as white space.
class LineReader {
 public:
  explicit LineReader(std::string_view text) : rest_(text) {}

  // False at the end. Skips blank lines.
  bool next(std::vector<std::string_view>& words) {
    words.clear();
    while (words.empty() && !rest_.empty()) {
      const size_t end = std::min(rest_.find('\n'), rest_.size());
      split(rest_.substr(0, end), words);
      rest_.remove_prefix(std::min(end + 1, rest_.size()));
      ++number_;
    }
    return !words.empty();
  }
  int number() const { return number_; }

 private:
  static void split(std::string_view line, std::vector<std::string_view>& words) {
    constexpr std::string_view kSpace = " \t\r";
    for (size_t at = line.find_first_not_of(kSpace); at != std::string_view::npos;) {
      const size_t end = std::min(line.find_first_of(kSpace, at), line.size());
      words.push_back(line.substr(at, end - at));
      at = line.find_first_not_of(kSpace, end);
    }
  }
  std::string_view rest_;
  int number_ = 0;
};

int64_t parse_count(const std::vector<std::string_view>& words, const std::filesystem::path& path) {
  int64_t count = 0;
  const std::string_view word = words.empty() ? std::string_view() : words.front();
  const auto [end, code] = std::from_chars(word.data(), word.data() + word.size(), count);
  if (words.size() != 1 || code != std::errc() || end != word.data() + word.size() || count < 0)
    throw_input("{}:1: expected the number of rows: {}", path.string(), kRemedy);
  return count;
}

}  // namespace

CelebaPartition read_celeba_partition(const std::filesystem::path& path) {
  const std::string text = read_file(path);
  CelebaPartition partition;
  LineReader lines(text);
  for (std::vector<std::string_view> words; lines.next(words);) {
    if (words.size() != 2 || (words[1] != "0" && words[1] != "1" && words[1] != "2"))
      throw_input("{}:{}: expected an image name and 0, 1 or 2: {}", path.string(), lines.number(), kRemedy);
    partition.names.emplace_back(words[0]);
    partition.parts.push_back(words[1][0] - '0');
  }
  if (partition.names.empty()) throw_input("{}: is empty: {}", path.string(), kRemedy);
  return partition;
}

CelebaAttributes read_celeba_attributes(const std::filesystem::path& path) {
  const std::string text = read_file(path);
  CelebaAttributes result;
  LineReader lines(text);
  std::vector<std::string_view> words;
  lines.next(words);
  const int64_t count = parse_count(words, path);
  if (!lines.next(words)) throw_input("{}: has no line of attribute names: {}", path.string(), kRemedy);
  result.attributes.assign(words.begin(), words.end());
  while (lines.next(words)) {
    if (words.size() != result.attributes.size() + 1)
      throw_input("{}:{}: has {} values, but the file names {} attributes: {}", path.string(), lines.number(),
                  words.size() - 1, result.attributes.size(), kRemedy);
    result.names.emplace_back(words[0]);
    for (size_t i = 1; i < words.size(); ++i) {
      if (words[i] != "1" && words[i] != "-1" && words[i] != "0")
        throw_input("{}:{}: expected -1 or 1, got '{}': {}", path.string(), lines.number(), words[i],
                    kRemedy);
      result.values.push_back(words[i] == "1" ? 1 : 0);
    }
  }
  if (static_cast<int64_t>(result.names.size()) != count)
    throw_input("{}: claims {} rows but has {}: {}", path.string(), count, result.names.size(), kRemedy);
  return result;
}

}  // namespace ddpm
