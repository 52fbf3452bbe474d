#include "support/progress_bar.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace ddpm {
namespace {

constexpr double kRedrawInterval = 0.1;  // seconds
constexpr int kDefaultWidth = 80;
constexpr int kMaxBarWidth = 30;

int terminal_width(std::FILE* stream) {
  winsize size{};
  return ::ioctl(::fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kDefaultWidth;
}

double items_per_second(const ProgressOptions& options, int64_t done, double elapsed_s) {
  return elapsed_s > 0 ? static_cast<double>(done - options.first) * options.items_per_step / elapsed_s : 0;
}

// 1234567 -> "1,234,567".
std::string with_thousands(int64_t value) {
  if (value < 1000) return fmt::format("{}", value);
  return fmt::format("{},{:03}", with_thousands(value / 1000), value % 1000);
}

// Rates below ten keep two digits.
std::string format_rate(double rate) {
  return rate < 10 ? fmt::format("{:.2f}", rate) : with_thousands(std::llround(rate));
}

double share_done(const ProgressOptions& options, int64_t done) {
  return options.total > 0
             ? std::clamp(static_cast<double>(done) / static_cast<double>(options.total), 0.0, 1.0)
             : 1.0;
}

// Count, detail, rate and remaining time.
std::string status(const ProgressOptions& options, const ProgressState& state) {
  const double rate = items_per_second(options, state.done, state.elapsed_s);
  std::string text =
      fmt::format("{:3.0f}% {}/{}", 100 * share_done(options, state.done), state.done, options.total);
  if (!state.detail.empty()) text += fmt::format("  {}", state.detail);
  text += fmt::format("  {} {}/s", format_rate(rate), options.unit);
  if (state.done < options.total && rate > 0)
    text += fmt::format("  ETA {}", format_duration(static_cast<double>(options.total - state.done) *
                                                    options.items_per_step / rate));
  return text;
}

}  // namespace

std::string format_duration(double seconds) {
  const auto whole = std::llround(std::max(seconds, 0.0));
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string progress_line(const ProgressOptions& options, const ProgressState& state, int width) {
  const std::string text = status(options, state);
  // A bar also takes two spaces and two brackets.
  const int room = width - static_cast<int>(options.label.size() + text.size()) - 4;
  const int bar = std::min(room, kMaxBarWidth);
  std::string line;
  if (bar >= 5) {
    const auto filled = static_cast<size_t>(share_done(options, state.done) * bar);
    line = fmt::format("{} [{}{}] {}", options.label, std::string(filled, '#'),
                       std::string(static_cast<size_t>(bar) - filled, '.'), text);
  } else {
    line = fmt::format("{} {}", options.label, text);
  }
  if (static_cast<int>(line.size()) > width) line.resize(static_cast<size_t>(std::max(width, 0)));
  return line;
}

std::string progress_plain_line(const ProgressOptions& options, const ProgressState& state) {
  return fmt::format("{} {}", options.label, status(options, state));
}

ProgressBar::ProgressBar(ProgressOptions options, std::FILE* stream)
    : options_(std::move(options)), stream_(stream), terminal_(::isatty(::fileno(stream)) == 1) {}

ProgressBar::~ProgressBar() { clear(); }

void ProgressBar::update(int64_t done, std::string_view detail) {
  const Clock::time_point now = Clock::now();
  const double since_shown = std::chrono::duration<double>(now - shown_).count();
  const double interval = terminal_ ? kRedrawInterval : options_.plain_interval_s;
  const bool last = done >= options_.total;
  if (since_shown < interval && !(terminal_ && (last || !drawn_))) return;
  shown_ = now;
  const ProgressState state{done, elapsed_s(), detail};
  if (terminal_) {
    // Carriage return, and "erase to the end of the line".
    fmt::print(stream_, "\r{}\033[K", progress_line(options_, state, terminal_width(stream_) - 1));
    drawn_ = true;
  } else {
    fmt::print(stream_, "{}\n", progress_plain_line(options_, state));
  }
  std::fflush(stream_);
}

void ProgressBar::clear() {
  if (!drawn_) return;
  std::fputs("\r\033[K", stream_);
  std::fflush(stream_);
  drawn_ = false;
}

double ProgressBar::elapsed_s() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

double ProgressBar::rate(int64_t done) const { return items_per_second(options_, done, elapsed_s()); }

}  // namespace ddpm
