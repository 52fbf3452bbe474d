// Rows of labels against the reference, which draws the same random numbers.
#include "kernels/cuda/kernels.h"
#include "kernels/reference/reference.h"
#include "tests/kernels/cuda/kernel_test.h"

namespace ddpm {
namespace {

// Few and many classes; attributes with fewer columns than a warp and with more; more rows than a block has.
std::vector<LabelParams> shapes() {
  return {{.n = 3, .dataset_count = 5, .fields = 1, .values = 4},
          {.n = 7,
           .dataset_count = 50,
           .fields = 1,
           .values = 1000,
           .null = NullCondition::kLastColumn,
           .dropout = 0.5,
           .seed = (uint64_t{1} << 40) + 3},
          {.n = 9,
           .dataset_count = 11,
           .fields = 5,
           .values = 2,
           .dropout = 0.2,
           .field_dropout = 0.5,
           .seed = 7},
          {.n = 6, .dataset_count = 100, .fields = 40, .values = 2, .dropout = 0.1, .field_dropout = 1}};
}

template <typename T>
class GatherLabels : public testing::Test {};
TYPED_TEST_SUITE(GatherLabels, StorageTypes);

TYPED_TEST(GatherLabels, MatchesReference) {
  using T = TypeParam;
  const int64_t step = (int64_t{1} << 33) + 5;  // positions exceed 32 bits
  for (const LabelParams& s : shapes()) {
    std::vector<float> labels;
    for (int64_t i = 0; i < s.dataset_count * s.fields; ++i)  // one beyond the last value too: unknown
      labels.push_back(static_cast<float>(i * i * 31 % (s.values + 1)));
    const auto y = same_in_every_order([&](StreamView stream) {
      const Guarded<float> from(labels, stream);
      const Guarded<int64_t> at(std::vector<int64_t>{step}, stream);
      const Guarded<T> to(int64_t{s.n} * s.columns(), stream);
      cuda::gather_labels<T>(s, {from.data(), at.data(), to.data()}, stream);
      return widened(to.values(stream));
    });
    std::vector<double> expected(y.size());
    reference::gather_labels<double>(s, {widened(labels).data(), &step, expected.data()});
    EXPECT_EQ(y, expected) << s.fields << 'x' << s.values;
  }
}

}  // namespace
}  // namespace ddpm
