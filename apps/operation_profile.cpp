#include "apps/operation_profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace ddpm {
namespace {

struct Total {
  int64_t runs = 0;
  double seconds = 0;
  Cost cost;
};

}  // namespace

void print_operation_profile(const Executor& executor) {
  const std::vector<OperationTime> times = executor.operation_times();
  std::map<std::string, Total> by_kind;
  double all_seconds = 0;
  for (size_t i = 0; i < times.size(); ++i) {
    const AnyOperation& operation = executor.program().operations()[i].operation;
    Total& total = by_kind[kind(operation)];
    const Cost once = cost(operation, sizeof(float));
    const auto runs = static_cast<double>(times[i].runs);
    total.runs += times[i].runs;
    total.seconds += times[i].seconds;
    total.cost.flops += runs * once.flops;
    total.cost.bytes += runs * once.bytes;
    all_seconds += times[i].seconds;
  }
  std::vector<std::pair<std::string, Total>> rows(by_kind.begin(), by_kind.end());
  std::sort(rows.begin(), rows.end(),
            [](const auto& a, const auto& b) { return a.second.seconds > b.second.seconds; });
  fmt::print(stderr, "{:32} {:>8} {:>12} {:>7} {:>9} {:>8}\n", "operation", "runs", "ms", "share", "GFLOP/s",
             "GB/s");
  for (const auto& [name, total] : rows) {
    if (total.runs == 0) continue;
    fmt::print(stderr, "{:32} {:>8} {:>12.2f} {:>6.1f}% {:>9.1f} {:>8.1f}\n", name, total.runs,
               total.seconds * 1e3, 100 * total.seconds / all_seconds,
               total.cost.flops / total.seconds * 1e-9, total.cost.bytes / total.seconds * 1e-9);
  }
}

}  // namespace ddpm
