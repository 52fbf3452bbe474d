#include "runtime/products/plan_cache.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

#include "support/atomic_file.h"
#include "support/error.h"

namespace ddpm {
namespace {

constexpr const char* kFormat = "ddpm.cu plans";
constexpr int kVersion = 1;

using Plans = std::map<std::string, std::string>;

// No value where `text` is not a cache of this version.
std::optional<Plans> parse(const std::string& text) {
  const nlohmann::json file = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!file.is_object() || file.value("format", nlohmann::json()) != kFormat ||
      file.value("version", nlohmann::json()) != kVersion || !file.contains("plans"))
    return std::nullopt;
  Plans plans;
  if (!file["plans"].is_object()) return std::nullopt;
  for (const auto& [key, plan] : file["plans"].items()) {
    if (!plan.is_string()) return std::nullopt;
    plans[key] = plan.get<std::string>();
  }
  return plans;
}

std::string format(const Plans& plans) {
  return nlohmann::json({{"format", kFormat}, {"version", kVersion}, {"plans", plans}}).dump(1) + "\n";
}

// Nothing where the file does not exist yet.
Plans read_plans(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return {};
  std::optional<Plans> plans = parse(read_file(file));
  if (!plans) throw_input("{} is damaged, or not a plan cache of this version: remove it", file.string());
  return *std::move(plans);
}

}  // namespace

PlanCache::PlanCache(std::filesystem::path file, LogLine log) : file_(std::move(file)), log_(std::move(log)) {
  if (file_.empty()) return;
  try {
    plans_ = opened_ = read_plans(file_);
  } catch (const InputError& error) {
    report(error.what());
    file_.clear();  // it may be the user's: it is not overwritten
  }
}

std::optional<std::string> PlanCache::find(const std::string& key) const {
  const auto found = plans_.find(key);
  return found == plans_.end() ? std::nullopt : std::optional(found->second);
}

void PlanCache::announce(const std::vector<std::string>& keys) const {
  const auto unknown =
      std::count_if(keys.begin(), keys.end(), [&](const std::string& key) { return !plans_.contains(key); });
  if (unknown == 0 || !log_) return;
  log_(fmt::format("measuring {} product{} on this GPU ({})", unknown, unknown == 1 ? "" : "s",
                   file_.empty() ? "for this run alone" : "kept in " + file_.string()));
}

void PlanCache::store(const std::string& key, const std::string& plan) { plans_[key] = plan; }

void PlanCache::save() {
  if (file_.empty() || plans_ == opened_) return;
  try {
    Plans all = read_plans(file_);
    for (const auto& [key, plan] : plans_) {
      const auto [kept, is_new] = all.try_emplace(key, plan);
      const auto before = opened_.find(key);
      if (!is_new && before != opened_.end() && kept->second == before->second) kept->second = plan;
    }
    if (file_.has_parent_path()) create_folder(file_.parent_path());
    write_file_atomically(file_, format(all));
    opened_ = plans_;
  } catch (const InputError& error) {
    report(error.what());
  }
}

void PlanCache::report(const std::string& what) const {
  if (log_) log_("plan cache not used: " + what);
}

std::filesystem::path plan_cache_file(const std::string& option) {
  if (option == "default") return default_plan_cache_file();
  return option == "none" ? std::filesystem::path() : std::filesystem::path(option);
}

std::filesystem::path default_plan_cache_file() {
  const std::filesystem::path name = std::filesystem::path("ddpm.cu") / "plans.json";
  // The XDG Base Directory specification: a relative path is to be ignored.
  if (const char* cache = std::getenv("XDG_CACHE_HOME");
      cache != nullptr && std::filesystem::path(cache).is_absolute())
    return cache / name;
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0')
    return std::filesystem::path(home) / ".cache" / name;
  return {};
}

}  // namespace ddpm
