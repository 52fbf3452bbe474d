#include "model/training/run_folder.h"

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>

#include "data/grid.h"
#include "data/png.h"
#include "support/atomic_file.h"
#include "support/charts/line_chart.h"
#include "support/error.h"

namespace ddpm {
namespace {

constexpr const char* kMetrics = "metrics.jsonl";

// The complete lines of metrics.jsonl as JSON; skips a line that a killed run left unfinished.
std::vector<nlohmann::ordered_json> read_metrics(const std::filesystem::path& path) {
  std::vector<nlohmann::ordered_json> lines;
  std::istringstream text(read_file(path));
  for (std::string line; std::getline(text, line);) {
    nlohmann::ordered_json json = nlohmann::ordered_json::parse(line, nullptr, false);
    if (json.is_object() && json.contains("loss") && json.contains("step") &&
        json["step"].is_number_integer())
      lines.push_back(std::move(json));
  }
  return lines;
}

void add_speed(nlohmann::ordered_json& json, const RunSpeed& speed) {
  json["images_per_second"] = speed.images_per_second;
  if (speed.peak_device_bytes > 0) json["peak_device_bytes"] = speed.peak_device_bytes;
}

// The metrics as TensorBoard curves. Their groups are named so that it opens loss and optimiser, the first
// two alphabetically. A quarter of t without images has no point.
std::vector<Scalar> scalars_of(const TrainingMetrics& metrics, double images_per_second) {
  std::vector<Scalar> scalars = {{"loss/mean", metrics.loss.mean()}};
  for (size_t quarter = 0; quarter < metrics.loss_by_quarter.size(); ++quarter)
    if (metrics.loss_by_quarter[quarter].count > 0)
      scalars.push_back(
          {fmt::format("loss/quarter_{}_of_t", quarter + 1), metrics.loss_by_quarter[quarter].mean()});
  scalars.push_back({"optimiser/gradient_norm", metrics.gradient_norm.mean()});
  scalars.push_back({"optimiser/learning_rate", metrics.learning_rate});
  scalars.push_back({"speed/images_per_second", images_per_second});
  return scalars;
}

}  // namespace

void RunFolder::begin(const TrainConfig& config) {
  if (std::filesystem::exists(path_ / "checkpoints" / "latest"))
    throw_input("{} already holds a run: continue it with --resume, or give another --out", path_.string());
  create_folder(path_);
  write_file_atomically(path_ / "config.toml", to_toml(config));
  write_file_atomically(path_ / kMetrics, "");
  open_logs(0);
}

void RunFolder::resume(int64_t step) {
  std::string kept;
  if (std::filesystem::exists(path_ / kMetrics))
    for (const auto& line : read_metrics(path_ / kMetrics))
      if (line["step"].get<int64_t>() <= step) kept += line.dump() + "\n";
  write_file_atomically(path_ / kMetrics, kept);
  open_logs(step);
}

void RunFolder::open_logs(int64_t step) {
  metrics_.open(path_ / kMetrics, std::ios::app);
  if (!metrics_) throw_input("cannot write {}: check the folder's permissions", (path_ / kMetrics).string());
  if (event_files_ == EventFiles::kTensorBoard) events_.emplace(path_, step);
}

void RunFolder::add_metrics(int64_t step, const TrainingMetrics& metrics, const RunSpeed& speed) {
  nlohmann::ordered_json line;
  line["step"] = step;
  line["loss"] = metrics.loss.mean();
  for (const RunningMean& quarter : metrics.loss_by_quarter)
    line["loss_by_quarter_of_t"].push_back(quarter.count > 0 ? nlohmann::ordered_json(quarter.mean())
                                                             : nullptr);
  line["gradient_norm"] = metrics.gradient_norm.mean();
  line["learning_rate"] = metrics.learning_rate;
  add_speed(line, speed);
  metrics_ << line.dump() << std::endl;
  if (!metrics_) throw_input("cannot write {}: is the disk full?", (path_ / kMetrics).string());
  if (events_) events_->add_scalars(step, scalars_of(metrics, speed.images_per_second));
}

void RunFolder::write_summary(const RunSummary& summary) const {
  nlohmann::ordered_json json{{"device", summary.device},
                              {"precision", summary.precision},
                              {"batch", summary.batch},
                              {"step", summary.step},
                              {"steps", summary.steps},
                              {"seconds", summary.seconds},
                              {"startup_seconds", summary.startup_seconds},
                              {"interrupted", summary.interrupted}};
  if (summary.steps > 0) {
    json["recent_loss"] = summary.recent_loss;
    add_speed(json, summary.speed);
  }
  write_file_atomically(path_ / "summary.json", json.dump(2) + "\n");
}

std::filesystem::path RunFolder::add_samples(int64_t step, const std::vector<Image>& images) {
  std::filesystem::path file = path_ / "samples" / fmt::format("step-{:08}.png", step);
  create_folder(file.parent_path());
  const Image grid = make_grid(images);
  write_png(file, grid);
  if (events_) events_->add_image(step, "samples", grid);
  return file;
}

std::filesystem::path RunFolder::write_loss_curve() const {
  ChartSeries loss;
  loss.name = "loss";
  for (const auto& line : read_metrics(path_ / kMetrics)) {
    if (!line["loss"].is_number()) continue;
    loss.points.push_back({line["step"].get<double>(), line["loss"].get<double>()});
  }
  if (loss.points.size() < 2) return {};
  std::filesystem::path file = path_ / "loss.svg";
  write_line_chart_svg(
      file, {.title = "Training loss", .x_label = "step", .y_label = "loss", .y_scale = AxisScale::kLog},
      {loss});
  return file;
}

}  // namespace ddpm
