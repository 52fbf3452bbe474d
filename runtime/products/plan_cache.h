// Which way to compute a product was found to be the fastest, kept in a JSON file so that only the first run
// on a machine has to measure. Depends on support/log_line.h; JSON stays in the .cpp.
//
// Keys and plans are text. Processes may share the file: each writes it whole and atomically, after reading
// again what the others have written, so that at worst a measurement made at the same instant is lost. The
// cache is never a reason to fail: what cannot be read, understood or written is reported in one line of log,
// and the program goes on without.
#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "support/log_line.h"

namespace ddpm {

class PlanCache {
 public:
  // An empty path keeps plans for this object's life only.
  explicit PlanCache(std::filesystem::path file, LogLine log = {});

  std::optional<std::string> find(const std::string& key) const;
  // One line of log on how many of these are going to be measured, and where that is kept: it can take
  // minutes. Nothing where all are known.
  void announce(const std::vector<std::string>& keys) const;
  void store(const std::string& key, const std::string& plan);
  // Writes what was stored. A key that another process has written meanwhile keeps its plan, so that all
  // later runs compute alike; one that was there when this cache was opened is replaced. A file that is not a
  // cache is left as it is.
  void save();

 private:
  void report(const std::string& what) const;

  std::filesystem::path file_;  // empty: not kept
  LogLine log_;
  std::map<std::string, std::string> plans_, opened_;  // as they are now, as the file had them
};

// The file that GpuOptions::plan_cache means; empty: none.
std::filesystem::path plan_cache_file(const std::string& option);

// ddpm.cu/plans.json in $XDG_CACHE_HOME, or in ~/.cache; empty where neither is set.
std::filesystem::path default_plan_cache_file();

}  // namespace ddpm
