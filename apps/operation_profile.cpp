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

constexpr size_t kSlowest = 20;  // operations listed one by one

struct Row {
  std::string name;
  int64_t runs = 0;
  double seconds = 0;
  Cost cost;
  double floor = 0;  // seconds

  void add(const OperationTime& time, const Cost& once, const DevicePeak& peak) {
    const auto times = static_cast<double>(time.runs);
    runs += time.runs;
    seconds += time.seconds;
    cost.flops += times * once.flops;
    cost.bytes += times * once.bytes;
    // Arithmetic and traffic overlap at best.
    if (peak.flops_per_second > 0 && peak.bytes_per_second > 0)
      floor += times * std::max(once.flops / peak.flops_per_second, once.bytes / peak.bytes_per_second);
  }
};

void print(const char* what, std::vector<Row> rows, double all_seconds) {
  std::erase_if(rows, [](const Row& row) { return row.runs == 0; });
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.seconds > b.seconds; });
  if (rows.size() > kSlowest) rows.resize(kSlowest);
  fmt::print(stderr, "{:56} {:>8} {:>12} {:>7} {:>9} {:>8} {:>6}\n", what, "runs", "ms", "share", "GFLOP/s",
             "GB/s", "floor");
  for (const Row& row : rows) {
    const std::string floor = row.floor > 0 ? fmt::format("{:.0f}%", 100 * row.floor / row.seconds) : "";
    fmt::print(stderr, "{:56} {:>8} {:>12.2f} {:>6.1f}% {:>9.1f} {:>8.1f} {:>6}\n", row.name, row.runs,
               row.seconds * 1e3, 100 * row.seconds / all_seconds, row.cost.flops / row.seconds * 1e-9,
               row.cost.bytes / row.seconds * 1e-9, floor);
  }
}

}  // namespace

void print_operation_profile(const Executor& executor, const DevicePeak& peak) {
  const std::vector<OperationTime> times = executor.operation_times();
  std::map<std::string, Row> by_kind;
  std::vector<Row> single;
  double all_seconds = 0;
  for (size_t i = 0; i < times.size(); ++i) {
    const Operation& operation = executor.program().operations()[i];
    const Cost once = cost(operation.operation, executor.precision().real);
    by_kind[kind(operation.operation)].add(times[i], once, peak);
    single.emplace_back().name = operation.name;
    single.back().add(times[i], once, peak);
    all_seconds += times[i].seconds;
  }
  std::vector<Row> kinds;
  for (auto& [name, row] : by_kind) {
    kinds.push_back(row);
    kinds.back().name = name;
  }
  print("kind of operation", std::move(kinds), all_seconds);
  print("slowest operations", std::move(single), all_seconds);
}

}  // namespace ddpm
