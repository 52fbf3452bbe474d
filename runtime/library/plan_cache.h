// Which way to compute a product was found to be the fastest, and which were found wrong, kept in a JSON
// file so that only the first run on a machine has to measure.
//
// Keys and plans are text. Processes may share the file: each writes it whole and atomically, after reading
// again what the others have written, so that at worst a measurement made at the same instant is lost. The
// cache is never a reason to fail: what cannot be read, understood or written is reported in one line of log,
// and the program goes on without.
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
  // Often enough that a run which is cut off loses little, seldom enough that writing takes no time to speak
  // of.
  static constexpr std::chrono::milliseconds kSaveInterval{5000};

  // An empty path keeps plans for this object's life only. Plans that a process was trying when it ended are
  // refused from now on.
  explicit PlanCache(std::filesystem::path file, LogLine log = {},
                     std::chrono::milliseconds save_interval = kSaveInterval);
  ~PlanCache() { save(); }
  PlanCache(const PlanCache&) = delete;
  PlanCache& operator=(const PlanCache&) = delete;

  std::optional<std::string> find(const std::string& key) const;
  // One line of log on how many of these are going to be measured, and where that is kept: it can take
  // minutes. Nothing where all are known.
  void announce(const std::vector<std::string>& keys) const;
  // Saves too, where that was last done longer than the interval ago.
  void store(const std::string& key, const std::string& plan);

  // Says so in one line of log; such a plan is not found any more.
  void refuse(const PlanId& plan, const std::string& why);
  // A line of log on a plan that is used although something is wrong with it.
  void warn_about(const PlanId& plan, const std::string& fault) const;
  bool is_refused(const std::string& key, const std::string& tag) const;
  size_t refused_plans(const std::string& key) const;

  // While a plan is being tried: whatever ends the process meanwhile, the next one refuses the plan.
  class Trial {
   public:
    Trial(PlanCache& cache, const PlanId& plan) : cache_(cache) { cache_.note_.write(plan); }
    ~Trial() { cache_.note_.erase(); }
    Trial(const Trial&) = delete;
    Trial& operator=(const Trial&) = delete;

   private:
    PlanCache& cache_;
  };

  // What a user can do where a plan's failure has ended the program.
  std::string advice_after_failure() const;

  // Writes what was stored. A key that another process has written meanwhile keeps its plan, so that all
  // later runs compute alike; one that was there when this cache was opened is replaced. A file that is not a
  // cache is left as it is.
  void save();

 private:
  struct Content {
    std::map<std::string, std::string> plans;                           // by key
    std::map<std::string, std::map<std::string, std::string>> refused;  // why, by key and plan
    bool operator==(const Content&) const = default;
  };
  static std::optional<Content> parse(const std::string& text);
  static Content read(const std::filesystem::path& file);
  static std::string format(const Content& content);
  void report(const std::string& what) const;

  std::filesystem::path file_;  // empty: not kept
  LogLine log_;
  std::chrono::milliseconds save_interval_;
  std::chrono::steady_clock::time_point saved_at_ = std::chrono::steady_clock::now();
  Content content_, opened_;  // as it is now, as the file had it
  TrialNote note_;
};

// The file that GpuOptions::plan_cache means; empty: none.
std::filesystem::path plan_cache_file(const std::string& option);

// ddpm.cu/plans.json in $XDG_CACHE_HOME, or in ~/.cache; empty where neither is set.
std::filesystem::path default_plan_cache_file();

}  // namespace ddpm
