// A note of the plan that is being tried, in a file that outlives the process: a plan that takes the
// process down with it is known to the next one.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace ddpm {

// A plan of a problem: the cache's key for it, the text by which it is restored, and what to call it.
struct PlanId {
  std::string key;
  std::string tag;
  std::string name;
};

// One process's note, beside the file of plans. The file is written, not synced: it survives the process
// whatever ends it, in microseconds where a sync takes milliseconds, thousands of times. Only a machine that
// goes down too may forget the note, and then the plan is tried once more. What cannot be written is no note.
class TrialNote {
 public:
  // Makes no file yet.
  explicit TrialNote(std::filesystem::path plans) : plans_(std::move(plans)) {}
  ~TrialNote();
  TrialNote(const TrialNote&) = delete;
  TrialNote& operator=(const TrialNote&) = delete;

  void write(const PlanId& plan);
  void erase();

 private:
  bool open();

  std::filesystem::path plans_;  // empty: no notes
  std::filesystem::path file_;
  int descriptor_ = -1;
};

// What processes that are gone were trying, and removes their files. A process holds a lock on its own.
std::vector<PlanId> take_notes_left_behind(const std::filesystem::path& plans);

}  // namespace ddpm
