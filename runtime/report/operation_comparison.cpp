#include "runtime/report/operation_comparison.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <span>
#include <utility>
#include <variant>

#include "support/error.h"
#include "support/parallel.h"

namespace ddpm {
namespace {

// An operation's operands, with the buffers that an arena consists of in place of the arena.
Operands compared_operands(const Program& program, const AnyOperation& operation) {
  Operands all;
  for (const Operand& operand : operands(operation)) {
    const Role role = program.buffer(operand.buffer).role;
    if (role != Role::kParameterArena && role != Role::kGradientArena) {
      all.push_back(operand);
      continue;
    }
    const bool is_gradient = role == Role::kGradientArena;
    for (size_t i = 0; i < program.buffers().size(); ++i)
      if (program.buffers()[i].role == (is_gradient ? Role::kParameterGradient : Role::kParameter))
        all.push_back({is_gradient ? "gradient" : "parameter", static_cast<BufferId>(i), operand.access});
  }
  return all;
}

using Values = std::vector<float>;

// Reuses memory for values: at training batch sizes a buffer has tens of megabytes, which the system would
// have to clear on each allocation.
class ValuePool {
 public:
  // The contents are undefined.
  Values take(size_t size) {
    Values taken;
    if (!spare_.empty()) {
      // The smallest that is large enough, or else the largest.
      auto best = std::lower_bound(spare_.begin(), spare_.end(), size, is_smaller);
      if (best == spare_.end()) --best;
      taken = std::move(*best);
      spare_.erase(best);
    }
    taken.resize(size);
    return taken;
  }
  void give_back(Values values) {
    const auto place = std::lower_bound(spare_.begin(), spare_.end(), values.capacity(), is_smaller);
    spare_.insert(place, std::move(values));
  }

 private:
  static bool is_smaller(const Values& values, size_t size) { return values.capacity() < size; }

  std::vector<Values> spare_;  // by capacity
};

double largest(std::span<const float> values) {
  std::vector<double> found(static_cast<size_t>(parallel_chunks(std::ssize(values))));
  parallel_for_chunks(std::ssize(values), [&](int64_t chunk, int64_t begin, int64_t end) {
    float most = 0;
    for (int64_t i = begin; i < end; ++i) most = std::max(most, std::abs(values[static_cast<size_t>(i)]));
    found[static_cast<size_t>(chunk)] = double(most);
  });
  return found.empty() ? 0 : *std::max_element(found.begin(), found.end());
}

// For a matrix with this many columns.
double largest_column_sum(std::span<const float> values, size_t columns) {
  // As many rows at a time as fill a chunk.
  const auto rows = static_cast<int64_t>(values.size() / columns);
  const int64_t rows_at_once = std::max<int64_t>(1, kParallelChunk / static_cast<int64_t>(columns));
  const int64_t parts = (rows + rows_at_once - 1) / rows_at_once;
  std::vector<std::vector<double>> partial(static_cast<size_t>(parts));
  parallel_for(parts, [&](int64_t part) {
    std::vector<double>& sums = partial[static_cast<size_t>(part)];
    sums.resize(columns);
    for (int64_t row = part * rows_at_once; row < std::min(rows, (part + 1) * rows_at_once); ++row) {
      const float* const begin = values.data() + static_cast<size_t>(row) * columns;
      for (size_t column = 0; column < columns; ++column) sums[column] += std::abs(double(begin[column]));
    }
  });
  std::vector<double> sums(columns);
  for (const std::vector<double>& part : partial)
    std::transform(part.begin(), part.end(), sums.begin(), sums.begin(), std::plus<>());
  return *std::max_element(sums.begin(), sums.end());
}

// OutputError's magnitude if it is known; 0: use the result's.
class MagnitudeOf {
 public:
  // `values` are the operation's inputs, by buffer.
  MagnitudeOf(BufferId output, const std::map<BufferId, Values>& values) : output_(output), values_(values) {}

  double operator()(const Conv2dBackwardWeight& op) const { return of_bias(op, op.shape.k); }
  double operator()(const UpsampleConv2dBackwardWeight& op) const { return of_bias(op, op.shape.k); }
  double operator()(const LinearBackward& op) const { return of_bias(op, op.params.out); }

  // The gradient of x is dy gamma (1 + film) rstd, minus its mean and its projection on the normalized x,
  // which is all of it if a group has few elements. The gradients of shift and bias are its sums.
  double operator()(const GroupNormBackward& op) const {
    const GroupNormParams& s = op.forward.params;
    const std::span<const float> dy = values_.at(op.dy);
    const auto channels = static_cast<size_t>(s.channels());
    const double film = op.forward.film == kNoBuffer ? 1 : 1 + largest(values_.at(op.forward.film));
    const double slope = film / (1 - s.dropout) * 1.1;  // SiLU's slope is below 1.1
    if (output_ == op.dgamma || output_ == op.dbeta)
      return largest_column_sum(dy, channels) * slope * kLargestNormalized;
    const double factor =
        slope * largest(values_.at(op.forward.gamma)) * largest(values_.at(op.forward.rstd));
    if (output_ == op.dx || output_ == op.dskip) return largest(dy) * factor;
    if (output_ == op.dbias) return largest_column_sum(dy, channels) * factor;
    double sum = 0;
    const size_t image = channels * static_cast<size_t>(s.pixels);
    for (size_t n = 0; n < static_cast<size_t>(s.n); ++n)
      sum = std::max(sum, largest_column_sum(dy.subspan(n * image, image), channels));
    return output_ == op.dfilm ? sum * slope * kLargestNormalized : sum * factor;
  }

  template <typename Op>
  double operator()(const Op&) const {
    return 0;
  }

 private:
  static constexpr double kLargestNormalized = 4;  // standard deviations, except for a few elements

  // The gradients of biases; all others are computed from inputs too.
  template <typename Op>
  double of_bias(const Op& op, int channels) const {
    bool is_bias = output_ == op.dbias;
    if constexpr (requires { op.also_dbias; }) is_bias = is_bias || output_ == op.also_dbias;
    return is_bias ? largest_column_sum(values_.at(op.dy), static_cast<size_t>(channels)) : 0;
  }

  BufferId output_;
  const std::map<BufferId, Values>& values_;
};

// NaN if one of them is.
double largest_difference(std::span<const float> actual, std::span<const float> expected) {
  const auto of_chunk = [&](size_t begin, size_t end) {
    double found = 0;
    for (size_t i = begin; i < end; ++i) {
      if (actual[i] == expected[i]) continue;  // infinities too
      const double difference = std::abs(double(actual[i]) - double(expected[i]));
      if (std::isnan(difference)) return std::numeric_limits<double>::quiet_NaN();
      found = std::max(found, difference);
    }
    return found;
  };
  std::vector<double> found(static_cast<size_t>(parallel_chunks(std::ssize(expected))));
  parallel_for_chunks(std::ssize(expected), [&](int64_t chunk, int64_t begin, int64_t end) {
    found[static_cast<size_t>(chunk)] = of_chunk(static_cast<size_t>(begin), static_cast<size_t>(end));
  });
  double all = 0;
  for (const double one : found) {
    if (std::isnan(one)) return one;
    all = std::max(all, one);
  }
  return all;
}

class Comparison {
 public:
  Comparison(size_t position, Executor& reference, Executor& device, const ErrorModel& model, ValuePool& pool)
      : position_(position), reference_(reference), device_(device), model_(model), pool_(pool) {}
  ~Comparison() {
    for (auto& [id, values] : inputs_) pool_.give_back(std::move(values));
  }
  Comparison(const Comparison&) = delete;
  Comparison& operator=(const Comparison&) = delete;

  std::vector<OutputError> run() {
    const Operands all = compared_operands(reference_.program(), operation().operation);
    share_inputs(all);
    reference_.run_operation(position_);
    device_.run_operation(position_);
    std::vector<OutputError> errors;
    for (const Operand& operand : all)
      if (operand.access != Access::kRead) errors.push_back(compare(operand));
    return errors;
  }

 private:
  const Operation& operation() const { return reference_.program().operations()[position_]; }
  DType dtype(BufferId id) const { return reference_.program().buffer(id).dtype; }
  size_t elements(BufferId id) const {
    return static_cast<size_t>(element_count(reference_.program().shape(id)));
  }

  // Whether an earlier operation wrote to the buffer, including columns that this one does not write.
  bool holds_values(const Operand& operand) const {
    if (reference_.program().buffer(operand.buffer).role != Role::kActivation) return true;
    const Placement& life = reference_.memory_plan().placements[static_cast<size_t>(operand.buffer)];
    return life.first < static_cast<int>(position_);
  }

  // Reads everything before it writes anything, since a result may take over an operand's memory. The first
  // operation to write columns of a matrix leaves the other columns as they were: zero on both.
  void share_inputs(const Operands& all) {
    std::vector<BufferId> outputs;
    for (const Operand& operand : all) {
      const BufferId id = operand.buffer;
      if (dtype(id) == DType::kByte) continue;  // bound to both
      if (dtype(id) == DType::kIndex) {
        device_.write_index(id, reference_.read_index(id));
      } else if (holds_values(operand)) {
        if (!inputs_.contains(id)) inputs_[id] = read(reference_, id);
      } else {
        outputs.push_back(id);
      }
    }
    for (const BufferId id : outputs) {
      Values zeros = pool_.take(elements(id));
      std::fill(zeros.begin(), zeros.end(), 0.0f);
      for (Executor* executor : {&device_, &reference_}) executor->write(id, zeros);
      pool_.give_back(std::move(zeros));
    }
    for (const auto& [id, values] : inputs_) share(id, values);
  }

  void share(BufferId id, const Values& values) {
    device_.write(id, values);
    if (dtype(id) == DType::kMaster) {  // float on both: nothing is rounded
      reference_.write(id, values);
      return;
    }
    Values rounded = read(device_, id);
    reference_.write(id, rounded);
    pool_.give_back(std::move(rounded));
  }

  Values read(const Executor& executor, BufferId id) {
    Values values = pool_.take(elements(id));
    executor.read(id, values);
    return values;
  }

  OutputError compare(const Operand& operand) {
    OutputError found{.operation = position_,
                      .name = operation().name,
                      .kind = kind(operation().operation),
                      .output = operand.name};
    if (dtype(operand.buffer) == DType::kIndex) {
      found.error =
          static_cast<double>(device_.read_index(operand.buffer) != reference_.read_index(operand.buffer));
      return found;
    }
    Values expected = read(reference_, operand.buffer), actual = read(device_, operand.buffer);
    const double result = largest(expected), unit = result > 0 ? result : 1;
    const double magnitude =
        std::max(result, std::visit(MagnitudeOf(operand.buffer, inputs_), operation().operation));
    const ErrorGrowth growth =
        std::visit([&](const auto& op) { return op.error_growth(operand.buffer); }, operation().operation);
    found.error = largest_difference(actual, expected) / unit;
    pool_.give_back(std::move(expected));
    pool_.give_back(std::move(actual));
    found.bound =
        (growth.roundings * model_.storage_roundoff * result +
         8 * std::sqrt(growth.terms) * growth.amplification * model_.arithmetic_roundoff * magnitude) /
        unit;
    return found;
  }

  size_t position_;
  Executor& reference_;
  Executor& device_;
  const ErrorModel& model_;
  ValuePool& pool_;
  std::map<BufferId, Values> inputs_;
};

std::vector<OutputError> compare_operation(size_t operation, Executor& reference, Executor& device,
                                           const ErrorModel& model, ValuePool& pool) {
  DDPM_CHECK(operation < reference.program().operations().size());
  DDPM_CHECK(reference.program().operations().size() == device.program().operations().size());
  return Comparison(operation, reference, device, model, pool).run();
}

}  // namespace

ErrorModel error_model(ComputePrecision precision) {
  DDPM_CHECK(precision != ComputePrecision::kAuto);
  ErrorModel model;
  if (precision == ComputePrecision::kBf16) model.storage_roundoff = 0x1p-8;
  return model;
}

double OutputError::part_of_bound() const { return error == 0 ? 0 : error / bound; }

std::vector<OutputError> compare_operation(size_t operation, Executor& reference, Executor& device,
                                           const ErrorModel& model) {
  ValuePool pool;
  return compare_operation(operation, reference, device, model, pool);
}

std::vector<OutputError> compare_operations(std::initializer_list<Phase> phases, Executor& reference,
                                            Executor& device, const ErrorModel& model,
                                            const ComparisonWatch& watch) {
  const std::vector<Operation>& operations = reference.program().operations();
  std::vector<size_t> order;
  for (const Phase phase : phases)
    for (size_t i = 0; i < operations.size(); ++i)
      if (operations[i].phase == phase) order.push_back(i);
  ValuePool pool;
  std::vector<OutputError> all;
  for (size_t done = 0; done < order.size(); ++done) {
    if (watch && !watch({done, order.size(), &operations[order[done]], all})) break;
    const std::vector<OutputError> errors = compare_operation(order[done], reference, device, model, pool);
    all.insert(all.end(), errors.begin(), errors.end());
  }
  return all;
}

}  // namespace ddpm
