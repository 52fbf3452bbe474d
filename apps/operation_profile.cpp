#include "apps/operation_profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
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

void append_rows(std::string& text, const char* what, std::vector<Row> rows, double all_seconds) {
  std::erase_if(rows, [](const Row& row) { return row.runs == 0; });
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.seconds > b.seconds; });
  if (rows.size() > kSlowest) rows.resize(kSlowest);
  text += fmt::format("{:56} {:>8} {:>12} {:>7} {:>9} {:>8} {:>6}\n", what, "runs", "ms", "share", "GFLOP/s",
                      "GB/s", "floor");
  for (const Row& row : rows) {
    const std::string floor = row.floor > 0 ? fmt::format("{:.0f}%", 100 * row.floor / row.seconds) : "";
    text += fmt::format("{:56} {:>8} {:>12.2f} {:>6.1f}% {:>9.1f} {:>8.1f} {:>6}\n", row.name, row.runs,
                        row.seconds * 1e3, 100 * row.seconds / all_seconds,
                        row.cost.flops / row.seconds * 1e-9, row.cost.bytes / row.seconds * 1e-9, floor);
  }
}

std::string phases_of(const GraphTime& graph) {
  std::string text;
  for (const Phase phase : graph.phases)
    text += (text.empty() ? "" : " + ") + std::string(kPhaseNames[static_cast<size_t>(phase)]);
  return text;
}

std::string graph_text(const GraphTime& graph) {
  const GraphNodes& nodes = graph.nodes;
  return fmt::format(
      "{}: step (plain graph) {:.3f} ms, with events {:.3f} ms, sum of {} operations {:.3f} ms\n"
      "  (of which {:.2f} us each are the events'), gaps {:.3f} ms; medians of {} and {} runs\n"
      "  nodes: {} kernels, {} memsets, {} copies, {} others\n",
      phases_of(graph), graph.seconds * 1e3, graph.timed_seconds * 1e3, graph.operations,
      graph.operations_seconds * 1e3, graph.empty_seconds * 1e6, graph.gap_seconds() * 1e3, graph.runs,
      graph.timed_runs, nodes.kernels, nodes.memsets, nodes.copies, nodes.events + nodes.others);
}

nlohmann::ordered_json graph_json(const GraphTime& graph) {
  nlohmann::ordered_json json;
  for (const Phase phase : graph.phases) json["phases"].push_back(kPhaseNames[static_cast<size_t>(phase)]);
  json["plain"] = {{"count", graph.runs}, {"seconds", graph.seconds}};
  json["with_events"] = {{"count", graph.timed_runs}, {"seconds", graph.timed_seconds}};
  json["operations"] = graph.operations;
  json["operations_seconds"] = graph.operations_seconds;
  json["empty_interval_seconds"] = graph.empty_seconds;
  json["gap_seconds"] = graph.runs > 0 ? nlohmann::ordered_json(graph.gap_seconds()) : nullptr;
  json["nodes"] = {{"kernels", graph.nodes.kernels},
                   {"memsets", graph.nodes.memsets},
                   {"copies", graph.nodes.copies},
                   {"others", graph.nodes.events + graph.nodes.others}};
  return json;
}

bool nothing_was_measured(const std::vector<OperationTime>& times) {
  return std::all_of(times.begin(), times.end(), [](const OperationTime& time) { return time.runs == 0; });
}

}  // namespace

std::string operation_profile_text(const Executor& executor, const DevicePeak& peak) {
  const std::vector<OperationTime> times = executor.operation_times();
  if (nothing_was_measured(times))
    return "nothing was measured: a GPU's first step is not, for it loads the kernels\n";
  std::map<std::string, Row> by_kind;
  std::vector<Row> single;
  double all_seconds = 0;
  for (size_t i = 0; i < times.size(); ++i) {
    const Operation& operation = executor.program().operations()[i];
    const Cost once = cost(operation.operation, executor.element_sizes().compute);
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
  std::string text;
  for (const GraphTime& graph : executor.graph_times()) text += graph_text(graph);
  append_rows(text, "kind of operation", std::move(kinds), all_seconds);
  append_rows(text, "slowest operations", std::move(single), all_seconds);
  return text;
}

nlohmann::ordered_json operation_profile_json(const Executor& executor, const DevicePeak& peak) {
  const std::vector<OperationTime> times = executor.operation_times();
  nlohmann::ordered_json json;
  json["peak"] = {{"flops_per_second", peak.flops_per_second}, {"bytes_per_second", peak.bytes_per_second}};
  json["graphs"] = nlohmann::ordered_json::array();
  for (const GraphTime& graph : executor.graph_times()) json["graphs"].push_back(graph_json(graph));
  json["operations"] = nlohmann::ordered_json::array();
  for (size_t i = 0; i < times.size(); ++i) {
    const Operation& operation = executor.program().operations()[i];
    const Cost once = cost(operation.operation, executor.element_sizes().compute);
    const auto count = static_cast<double>(times[i].runs);
    json["operations"].push_back({{"name", operation.name},
                                  {"kind", kind(operation.operation)},
                                  {"phase", kPhaseNames[static_cast<size_t>(operation.phase)]},
                                  {"count", times[i].runs},
                                  {"seconds", times[i].seconds},
                                  {"bytes", count * once.bytes},
                                  {"flops", count * once.flops}});
  }
  return json;
}

}  // namespace ddpm
