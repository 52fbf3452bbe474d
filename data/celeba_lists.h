// Parsers of CelebA's two annotation files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace ddpm {

// list_eval_partition.txt: lines such as "000001.jpg 0" (0 train, 1 validation, 2 test), ending in
// LF or CRLF.
struct CelebaPartition {
  std::vector<std::string> names;
  std::vector<int> parts;
};
CelebaPartition read_celeba_partition(const std::filesystem::path& path);

// list_attr_celeba.txt: the number of rows, the attribute names, then one row per image with its name and -1
// or 1 for each attribute.
struct CelebaAttributes {
  std::vector<std::string> attributes;
  std::vector<std::string> names;
  std::vector<uint8_t> values;  // (names, attributes): 0 for -1, 1 for 1
};
CelebaAttributes read_celeba_attributes(const std::filesystem::path& path);

}  // namespace ddpm
