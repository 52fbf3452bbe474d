#include "runtime/library/plan_cache.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

#include "runtime/library/plan_statistics.h"
#include "support/atomic_file.h"
#include "support/error.h"

namespace ddpm {
namespace {

constexpr const char* kFormat = "ddpm.cu plans";
constexpr int kVersion = 1;

}  // namespace

// None if `text` is not a cache of this version.
std::optional<PlanCache::Content> PlanCache::parse(const std::string& text) {
  const nlohmann::json file = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!file.is_object() || file.value("format", nlohmann::json()) != kFormat ||
      file.value("version", nlohmann::json()) != kVersion)
    return std::nullopt;
  try {
    Content content;
    file.at("plans").get_to(content.plans);
    if (file.contains("refused")) file.at("refused").get_to(content.refused);
    return content;
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
}

std::string PlanCache::format(const Content& content) {
  nlohmann::json file = {{"format", kFormat}, {"version", kVersion}, {"plans", content.plans}};
  if (!content.refused.empty()) file["refused"] = content.refused;
  return file.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

// Empty if the file does not exist yet.
PlanCache::Content PlanCache::read(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::exists(file, ignored)) return {};
  std::optional<Content> content = parse(read_file(file));
  if (!content)
    throw_input("{}: expected a plan cache of version {}; remove the file or give another --plan-cache",
                file.string(), kVersion);
  return *std::move(content);
}

PlanCache::PlanCache(std::filesystem::path file, LogLine log, std::chrono::milliseconds save_interval)
    : file_(std::move(file)), log_(std::move(log)), save_interval_(save_interval), note_(file_) {
  if (file_.empty()) return;
  try {
    content_ = opened_ = read(file_);
  } catch (const InputError& error) {
    report(error.what());
    file_.clear();  // do not overwrite what may be another file of the user's
    return;
  }
  for (const PlanId& plan : take_notes_left_behind(file_))
    refuse(plan, "the process that tried it ended before the trial did");
  save();
}

std::optional<std::string> PlanCache::find(const std::string& key) const {
  const auto found = content_.plans.find(key);
  if (found == content_.plans.end() || is_refused(key, found->second)) return std::nullopt;
  return found->second;
}

void PlanCache::announce(const std::vector<std::string>& keys) const {
  const auto unknown =
      std::count_if(keys.begin(), keys.end(), [&](const std::string& key) { return !find(key); });
  if (unknown == 0 || !log_) return;
  log_(fmt::format("autotuning {} on this GPU ({})", library_ops_text(unknown),
                   file_.empty() ? "for this run alone" : "kept in " + file_.string()));
}

void PlanCache::store(const std::string& key, const std::string& plan) {
  content_.plans[key] = plan;
  if (std::chrono::steady_clock::now() - saved_at_ >= save_interval_) save();
}

void PlanCache::refuse(const PlanId& plan, const std::string& why) {
  content_.refused[plan.key][plan.tag] = why;
  if (log_) log_(fmt::format("refused {} for {}: {}", plan.name, plan.key, why));
}

void PlanCache::warn_about(const PlanId& plan, const std::string& fault) const {
  if (log_)
    log_(fmt::format("warning: {} for {}: {}; used anyway (plan_check = warn)", plan.name, plan.key, fault));
}

bool PlanCache::is_refused(const std::string& key, const std::string& tag) const {
  const auto found = content_.refused.find(key);
  return found != content_.refused.end() && found->second.contains(tag);
}

size_t PlanCache::refused_plans(const std::string& key) const {
  const auto found = content_.refused.find(key);
  return found == content_.refused.end() ? 0 : found->second.size();
}

std::string PlanCache::advice_after_failure() const {
  return file_.empty()
             ? "nothing records which plans failed: pass --plan-cache FILE and --plan-choice measured"
             : fmt::format("run again: {} now lists it as refused; or pass --plan-choice first",
                           file_.string());
}

void PlanCache::save() {
  saved_at_ = std::chrono::steady_clock::now();
  if (file_.empty() || content_ == opened_) return;
  try {
    Content all = read(file_);
    for (const auto& [key, plan] : content_.plans) {
      const auto [kept, is_new] = all.plans.try_emplace(key, plan);
      const auto before = opened_.plans.find(key);
      if (!is_new && before != opened_.plans.end() && kept->second == before->second) kept->second = plan;
    }
    for (const auto& [key, plans] : content_.refused) all.refused[key].insert(plans.begin(), plans.end());
    if (file_.has_parent_path()) create_folder(file_.parent_path());
    write_file_atomically(file_, format(all));
    opened_ = content_;
  } catch (const InputError& error) {
    report(error.what());
    file_.clear();  // report it once
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
  // The XDG Base Directory specification: ignore a relative path.
  if (const char* cache = std::getenv("XDG_CACHE_HOME");
      cache != nullptr && std::filesystem::path(cache).is_absolute())
    return cache / name;
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0')
    return std::filesystem::path(home) / ".cache" / name;
  return {};
}

}  // namespace ddpm
