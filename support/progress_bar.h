// Shows the progress of a long job: a bar on a terminal, plain lines in a log.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace ddpm {

struct ProgressOptions {
  std::string label;             // the job, e.g. "preparing"
  std::string unit = "images";   // of the rate
  int64_t total = 0;             // steps
  int64_t first = 0;             // steps done by an earlier run; excluded from the rate
  double items_per_step = 1;     // items per step, e.g. the batch size
  double plain_interval_s = 10;  // between lines if the stream is not a terminal
};

// The progress at one moment.
struct ProgressState {
  int64_t done = 0;
  double elapsed_s = 0;
  std::string_view detail;  // e.g. "loss 0.123"
};

// One line of at most `width` columns:
// "label [#####.....]  40% 400/1000  loss 0.123  2,120 images/s  ETA 0:12".
std::string progress_line(const ProgressOptions& options, const ProgressState& state, int width);
// The same without the bar, for a log.
std::string progress_plain_line(const ProgressOptions& options, const ProgressState& state);
// "0:07", "12:34", "1:02:03".
std::string format_duration(double seconds);

// On a terminal, redraws one line ten times per second; elsewhere, writes a line every plain_interval_s. Call
// clear() before printing anything else.
class ProgressBar {
 public:
  explicit ProgressBar(ProgressOptions options, std::FILE* stream = stderr);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // `done` of `total` steps are done; `detail` is shown after the count.
  void update(int64_t done, std::string_view detail = {});
  // Erases the line from the terminal; the next update redraws it.
  void clear();

  double elapsed_s() const;
  // Items per second since the start of this run.
  double rate(int64_t done) const;

 private:
  using Clock = std::chrono::steady_clock;
  ProgressOptions options_;
  std::FILE* stream_;
  bool terminal_;
  bool drawn_ = false;
  Clock::time_point start_ = Clock::now();
  Clock::time_point shown_ = start_;
};

}  // namespace ddpm
