// The condition of a training step: the batch's labels as rows of ones and zeros, which a linear
// layer turns into embeddings.
#pragma once

#include <cstdint>

#include "kernels/operation.h"

namespace ddpm {

// The row of an image whose labels are hidden.
enum class NullCondition : uint8_t {
  kZeros,
  kLastColumn,  // a column of its own, as the last row of a table of class embeddings
};

// Image j of step k is the one that `diffuse` takes: position p = k*n + j of the run's stream. What is hidden
// is a function of (seed, p, field) too, so a run resumes exactly and nothing depends on the batch's split.
struct LabelParams {
  int n = 1;
  int64_t dataset_count = 1;
  int fields = 1;  // labels of an image: 1 for a class, A for attributes
  int values = 1;  // that each may take: K classes, or 2 for an attribute that is not set or set
  NullCondition null = NullCondition::kZeros;
  // Probability that all labels of an image are hidden: Ho & Salimans 2022, algorithm 1, p_uncond.
  double dropout = 0;
  // Of the others' labels each is hidden with a probability that is drawn for the image, uniform in [0,
  // this): so the network learns any number of them, from none to all where this is 1.
  double field_dropout = 0;
  uint64_t seed = 0;

  int columns() const { return fields * values + (null == NullCondition::kLastColumn ? 1 : 0); }
  bool operator==(const LabelParams&) const = default;
};

// labels (dataset_count, fields) holds whole numbers of [0, values); any other is unknown, as if it were
// hidden. Writes y (N, columns): y[n, f*values + v] = 1 where v is image n's label f and is not hidden, and
// the last column of NullCondition::kLastColumn where all are; else 0. *step is k above. T is the
// activations' type, M that of tables.
template <typename T, typename M = T>
struct GatherLabelsArgs {
  const M* labels;
  const int64_t* step;
  T* y;
};

inline Cost cost(const LabelParams& s, int element_bytes) {
  return {0, double(s.n) * (double(element_bytes) * s.columns() + sizeof(float) * s.fields)};
}

namespace reference {
template <typename T>
void gather_labels(const LabelParams& params, const GatherLabelsArgs<T>& args);
}  // namespace reference

// labels.cu
namespace cuda {
template <typename T>
void gather_labels(const LabelParams& params, const GatherLabelsArgs<T, float>& args, StreamView stream);
}  // namespace cuda

struct GatherLabels {
  LabelParams params;
  BufferId labels, step, y;

  static constexpr const char* kKind = "gather_labels";
  template <typename Memory>
  auto args(Memory&& m) const {
    return GatherLabelsArgs<ComputeType<Memory>, MasterType<Memory>>{
        .labels = m.read("labels", labels), .step = m.read("step", step), .y = m.write("y", y)};
  }
  Cost cost(int element_bytes) const { return ddpm::cost(params, element_bytes); }
  ErrorGrowth error_growth(BufferId /*result*/) const { return kExact; }
  template <typename T>
  void compute(const GatherLabelsArgs<T>& args) const {
    reference::gather_labels<T>(params, args);
  }
  template <typename T>
  void launch(const GatherLabelsArgs<T, float>& args, const LaunchOn& on) const {
    cuda::gather_labels<T>(params, args, on.stream);
  }
};

}  // namespace ddpm
