#include "runtime/library/trial_values.h"

#include <algorithm>
#include <random>
#include <span>
#include <vector>

#include "device/bfloat16.h"

namespace ddpm {
namespace {

// Drawing more on the host would take longer than using them. 8 times a prime, so that rows of any number of
// channels begin at different places; with a power of two every eighth image would be the same.
constexpr size_t kMostElements = (size_t{1} << 22) - 8;
// The tensors start this fraction of the pattern apart, in whole vectors for fast copies.
constexpr size_t kParts = 8, kVectorBytes = 16;

std::vector<BFloat16> random_values(size_t count) {
  std::mt19937 engine(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<BFloat16> values(count);
  for (BFloat16& value : values) value = to_bfloat16(uniform(engine));
  return values;
}

// An even number of bf16 values, which are whole floats.
size_t pattern_elements(size_t largest_bytes) {
  return std::clamp<size_t>((largest_bytes + sizeof(float) - 1) / sizeof(float) * 2, 2, kMostElements);
}

}  // namespace

TrialValues::TrialValues(size_t largest_bytes, StreamView stream)
    : pattern_(pattern_elements(largest_bytes) * sizeof(BFloat16)) {
  const std::vector<BFloat16> values = random_values(pattern_elements(largest_bytes));
  copy_to_device<std::byte>(std::as_bytes(std::span(values)), pattern_.span(), stream);
  stream.synchronize();  // before the host values are freed
}

void TrialValues::fill(DeviceSpan<std::byte> buffer, StreamView stream, size_t tensor) const {
  size_t from = tensor % kParts * (pattern_.size() / kParts / kVectorBytes * kVectorBytes);
  for (size_t begin = 0; begin < buffer.size();) {
    const size_t count = std::min(pattern_.size() - from, buffer.size() - begin);
    copy_on_device<std::byte>(pattern_.span().subspan(from, count), buffer.subspan(begin, count), stream);
    begin += count;
    from = 0;
  }
}

}  // namespace ddpm
