// The labels of a batch as rows of zeros and ones (kernels/labels.h). Parallel over images.
#include "kernels/labels.h"

#include <algorithm>

#include "kernels/permutation.h"
#include "kernels/reference/reference.h"
#include "support/parallel.h"

namespace ddpm::reference {
namespace {

// Which labels of one image are hidden: block 0 of its random numbers decides for the image, block f + 1
// for field f.
class HiddenLabels {
 public:
  HiddenLabels(const LabelParams& params, uint64_t position)
      : key_(random_key(params.seed, RandomStream::kConditionDrop)), position_(position) {
    const U32x4 of_image = random_bits4(key_, position, 0);
    all_ = bernoulli(of_image[0], float(params.dropout));
    share_ = float(params.field_dropout) * uniform_open(of_image[1]);
  }
  bool all() const { return all_; }
  bool field(int f) const {
    return all_ || bernoulli(random_bits4(key_, position_, uint32_t(f) + 1)[0], share_);
  }

 private:
  RandomKey key_;
  uint64_t position_;
  bool all_;
  float share_;
};

}  // namespace

template <typename T>
void gather_labels(const LabelParams& params, const GatherLabelsArgs<T>& args) {
  parallel_for(params.n, [&](int64_t n) {
    const uint64_t position = uint64_t(*args.step) * uint64_t(params.n) + uint64_t(n);
    const auto image = int64_t(shuffled_image(params.seed, position, uint64_t(params.dataset_count)));
    const HiddenLabels hidden(params, position);
    T* row = args.y + n * params.columns();
    std::fill_n(row, params.columns(), T{0});
    if (hidden.all() && params.null == NullCondition::kLastColumn) row[params.columns() - 1] = 1;
    for (int f = 0; f < params.fields; ++f) {
      if (hidden.field(f)) continue;
      for (int v = 0; v < params.values; ++v)
        if (args.labels[image * params.fields + f] == T(v)) row[f * params.values + v] = 1;
    }
  });
}

template void gather_labels(const LabelParams&, const GatherLabelsArgs<float>&);
template void gather_labels(const LabelParams&, const GatherLabelsArgs<double>&);

}  // namespace ddpm::reference
