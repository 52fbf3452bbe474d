// The plan cache: a JSON file of the fastest plan for each problem, and of refused plans, so that only the
// first run on a machine has to measure.
//
// Keys and plans are text. Processes may share the file: each rereads it, merges its own results and replaces
// it atomically, so at worst a simultaneous measurement is lost. The cache never makes a program fail: an
// unreadable or unwritable file is logged once, and the program continues without it.
#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/library/trial_note.h"
#include "support/log_line.h"

namespace ddpm {

class PlanCache {
 public:
  // Short enough that an interrupted run loses little, long enough that writing costs next to nothing.
  static constexpr std::chrono::milliseconds kSaveInterval{5000};

  // An empty path keeps plans only in memory. Refuses the plans that were being tried
  // when their process ended.
  explicit PlanCache(std::filesystem::path file, LogLine log = {},
                     std::chrono::milliseconds save_interval = kSaveInterval);
  ~PlanCache() { save(); }
  PlanCache(const PlanCache&) = delete;
  PlanCache& operator=(const PlanCache&) = delete;

  std::optional<std::string> find(const std::string& key) const;
  // Logs how many of these keys will be measured, which can take minutes, and where the results are kept.
  // Logs nothing if all are known.
  void announce(const std::vector<std::string>& keys) const;
  // Also saves, if the last save is longer ago than the interval.
  void store(const std::string& key, const std::string& plan);

  // Logs the refusal; find() no longer returns the plan.
  void refuse(const PlanId& plan, const std::string& why);
  // Logs a plan that is used despite a fault.
  void warn_about(const PlanId& plan, const std::string& fault) const;
  bool is_refused(const std::string& key, const std::string& tag) const;
  size_t refused_plans(const std::string& key) const;

  // Held while a plan is tried: if the process ends meanwhile, the next one refuses the plan.
  class Trial {
   public:
    Trial(PlanCache& cache, const PlanId& plan) : cache_(cache) { cache_.note_.write(plan); }
    ~Trial() { cache_.note_.erase(); }
    Trial(const Trial&) = delete;
    Trial& operator=(const Trial&) = delete;

   private:
    PlanCache& cache_;
  };

  // Advice for the user after a plan's failure ended the program.
  std::string advice_after_failure() const;

  // Writes the new entries. If another process has stored a plan for a key in the meantime, that one stays,
  // so that all later runs compute alike; an entry unchanged since this cache was opened is replaced. A file
  // that is not a cache is left alone.
  void save();

 private:
  struct Content {
    std::map<std::string, std::string> plans;                           // by key
    std::map<std::string, std::map<std::string, std::string>> refused;  // reason, by key and tag
    bool operator==(const Content&) const = default;
  };
  static std::optional<Content> parse(const std::string& text);
  static Content read(const std::filesystem::path& file);
  static std::string format(const Content& content);
  void report(const std::string& what) const;

  std::filesystem::path file_;  // empty: kept in memory only
  LogLine log_;
  std::chrono::milliseconds save_interval_;
  std::chrono::steady_clock::time_point saved_at_ = std::chrono::steady_clock::now();
  Content content_, opened_;  // now, and as last read or written
  TrialNote note_;
};

// The file for the value of GpuOptions::plan_cache; empty: none.
std::filesystem::path plan_cache_file(const std::string& option);

// ddpm.cu/plans.json in $XDG_CACHE_HOME or ~/.cache; empty if neither is set.
std::filesystem::path default_plan_cache_file();

}  // namespace ddpm
