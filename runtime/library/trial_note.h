// A note, in a file, of the plan being tried: if the plan ends the process, the next process knows.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace ddpm {

// A plan of a problem: its key in the cache, the tag that restores it, and a name for messages.
struct PlanId {
  std::string key;
  std::string tag;
  std::string name;
};

// One process's note, in a file beside the plan cache. The file is written but not synced: it survives the
// end of the process, in microseconds where a sync takes milliseconds, thousands of times. If the machine
// goes down too, the note may be lost, and the plan is tried once more. A failed write leaves no note.
class TrialNote {
 public:
  // Does not create the file yet.
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

// Returns what ended processes were trying, and removes their files. A live process holds a lock on its file.
std::vector<PlanId> take_notes_left_behind(const std::filesystem::path& plans);

}  // namespace ddpm
