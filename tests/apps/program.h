// Runs one of the project's programs as a user would: arguments in, exit code and output back. Tests only.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

namespace ddpm {

struct ProgramResult {
  int exit_code = -1;  // 128 + signal where a signal ended it
  std::string out;
  std::string err;
};

// What the machine allows a program.
struct ProgramLimits {
  int64_t file_bytes =
      -1;  // no file may grow beyond: a full disk, as far as a program can tell; -1: no limit
};

// A program that is still running. Its output goes to files in `folder`, which must outlive it.
class RunningProgram {
 public:
  RunningProgram(const std::string& name, const std::vector<std::string>& arguments,
                 const std::filesystem::path& folder, const ProgramLimits& limits = {});
  void send(int signal) const;
  ProgramResult wait();

 private:
  std::filesystem::path out_, err_;
  pid_t process_;
};

// `name` is a program of bin/, for instance "ddpm_train".
ProgramResult run_program(const std::string& name, const std::vector<std::string>& arguments,
                          const ProgramLimits& limits = {});

// Polls until `path` exists; false after a minute.
bool appears(const std::filesystem::path& path);

// Polls until the file holds `text`; false after a minute.
bool says(const std::filesystem::path& path, const std::string& text);

}  // namespace ddpm
