#include "runtime/library/driver_version.h"

#include <cuda_runtime_api.h>

#include <algorithm>
#include <cctype>
#include <fstream>
#include <sstream>

namespace ddpm {
namespace {

// "580.65.06"
bool is_version(const std::string& word) {
  const auto is_digit = [](unsigned char c) { return std::isdigit(c) != 0; };
  return std::all_of(word.begin(), word.end(), [&](char c) { return c == '.' || is_digit(c); }) &&
         is_digit(word.front()) && is_digit(word.back()) && word.find('.') != std::string::npos;
}

}  // namespace

std::string kernel_driver_version(const std::string& text) {
  std::istringstream words(text.substr(0, text.find('\n')));
  for (std::string word; words >> word;)
    if (is_version(word)) return word;
  return {};
}

std::string driver_version() {
  int supported = 0;  // unchanged by the call if there is no driver
  if (cudaDriverGetVersion(&supported) != cudaSuccess) supported = 0;
  std::ostringstream text;
  text << std::ifstream("/proc/driver/nvidia/version").rdbuf();
  const std::string own = kernel_driver_version(text.str());
  return std::to_string(supported) + (own.empty() ? "" : " " + own);
}

}  // namespace ddpm
