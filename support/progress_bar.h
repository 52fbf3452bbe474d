// Progress of a long job on a terminal, or as plain lines in a log.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace ddpm {

struct ProgressOptions {
  std::string label;             // what is done, e.g. "preparing"
  std::string unit = "images";   // what the rate counts
  int64_t total = 0;             // steps in all
  int64_t first = 0;             // steps that an earlier run had done; they count for no rate
  double items_per_step = 1;     // of `unit`, e.g. the batch size
  double plain_interval_s = 10;  // between lines where the stream is no terminal
};

// How things stand at one moment.
struct ProgressState {
  int64_t done = 0;
  double elapsed_s = 0;
  std::string_view detail;  // e.g. "loss 0.123"
};

// One line of at most `width` columns: "label [#####.....]  40% 400/1000  loss 0.123  2,120 images/s  ETA
// 0:12".
std::string progress_line(const ProgressOptions& options, const ProgressState& state, int width);
// The same without the bar, for a log.
std::string progress_plain_line(const ProgressOptions& options, const ProgressState& state);
// "0:07", "12:34", "1:02:03".
std::string format_duration(double seconds);

// Redraws one line ten times a second on a terminal; elsewhere writes a whole line every plain_interval_s.
// Whoever prints other lines meanwhile calls clear() before.
class ProgressBar {
 public:
  explicit ProgressBar(ProgressOptions options, std::FILE* stream = stderr);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // `done` of `total` steps are done; `detail` is shown behind the count.
  void update(int64_t done, std::string_view detail = {});
  // Removes the line from the terminal; the next update draws it again.
  void clear();

  double elapsed_s() const;
  // Items a second since the start of this run.
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
