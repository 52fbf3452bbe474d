#include "runtime/library/trial_note.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <nlohmann/json.hpp>

namespace ddpm {
namespace {

// "plans.json" -> "plans.json.trying-"
std::string prefix_of(const std::filesystem::path& plans) { return plans.filename().string() + ".trying-"; }

std::optional<PlanId> parse(const std::string& text) {
  const nlohmann::json note = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto member = [&](const char* name) { return note.value(name, std::string()); };
  try {
    if (note.is_object()) return PlanId{member("key"), member("plan"), member("name")};
  } catch (const nlohmann::json::exception&) {  // a member of another type: not a note
    return std::nullopt;
  }
  return std::nullopt;
}

std::string read_all(int descriptor) {
  std::string text;
  std::array<char, 4096> part{};
  ssize_t count = 0;
  while ((count = ::read(descriptor, part.data(), part.size())) > 0)
    text.append(part.data(), static_cast<size_t>(count));
  return text;
}

// None if its process is still alive, or was not trying a plan.
std::optional<PlanId> take_note(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return std::nullopt;
  std::optional<PlanId> note;
  if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) {
    note = parse(read_all(descriptor));
    ::unlink(file.c_str());
  }
  ::close(descriptor);
  return note;
}

}  // namespace

TrialNote::~TrialNote() {
  if (descriptor_ < 0) return;
  ::unlink(file_.c_str());
  ::close(descriptor_);
}

bool TrialNote::open() {
  if (descriptor_ >= 0) return true;
  if (plans_.empty()) return false;
  std::error_code ignored;  // a failure is reported when the plans are written
  if (plans_.has_parent_path()) std::filesystem::create_directories(plans_.parent_path(), ignored);
  // mkostemp replaces the six letters.
  std::string name = (plans_.parent_path() / (prefix_of(plans_) + "XXXXXX")).string();
  // Between these two calls, another process that looks for notes would take the file for one left behind.
  for (int attempt = 0; attempt < 3; ++attempt) {
    std::string made = name;
    const int descriptor = ::mkostemp(made.data(), O_CLOEXEC);
    if (descriptor < 0) return false;
    struct stat state {};
    if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0 && ::fstat(descriptor, &state) == 0 &&
        state.st_nlink > 0) {
      descriptor_ = descriptor;
      file_ = made;
      return true;
    }
    ::unlink(made.c_str());
    ::close(descriptor);
  }
  return false;
}

void TrialNote::write(const PlanId& plan) {
  if (!open()) return;
  const std::string text =
      nlohmann::json({{"key", plan.key}, {"plan", plan.tag}, {"name", plan.name}}).dump() + "\n";
  erase();
  if (::pwrite(descriptor_, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) erase();
}

void TrialNote::erase() {
  if (descriptor_ >= 0) static_cast<void>(!::ftruncate(descriptor_, 0));
}

std::vector<PlanId> take_notes_left_behind(const std::filesystem::path& plans) {
  std::vector<PlanId> notes;
  const std::string prefix = prefix_of(plans);
  const std::filesystem::path folder = plans.has_parent_path() ? plans.parent_path() : ".";
  std::error_code code;
  for (const auto& entry : std::filesystem::directory_iterator(folder, code)) {
    if (entry.path().filename().string().compare(0, prefix.size(), prefix) != 0) continue;
    if (std::optional<PlanId> note = take_note(entry.path())) notes.push_back(*std::move(note));
  }
  return notes;
}

}  // namespace ddpm
