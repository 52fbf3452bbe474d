#include "tests/apps/program.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <stdexcept>
#include <thread>

#include "support/atomic_file.h"
#include "tests/temporary_folder.h"

namespace ddpm {
namespace {

void redirect(const std::filesystem::path& path, int descriptor) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (file < 0 || ::dup2(file, descriptor) < 0) ::_exit(127);
}

// With the signal ignored, a write beyond the limit fails as it does on a full disk.
void limit_files(int64_t bytes) {
  const rlimit limit{static_cast<rlim_t>(bytes), static_cast<rlim_t>(bytes)};
  ::signal(SIGXFSZ, SIG_IGN);
  if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(127);
}

}  // namespace

RunningProgram::RunningProgram(const std::string& name, const std::vector<std::string>& arguments,
                               const std::filesystem::path& folder, const ProgramLimits& limits)
    : out_(folder / "stdout"), err_(folder / "stderr") {
  std::vector<std::string> words = {std::string(DDPM_BIN) + "/" + name};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  process_ = ::fork();
  if (process_ < 0) throw std::runtime_error("cannot fork");
  if (process_ == 0) {
    redirect(out_, STDOUT_FILENO);
    redirect(err_, STDERR_FILENO);
    if (limits.file_bytes >= 0) limit_files(limits.file_bytes);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
}

void RunningProgram::send(int signal) const { ::kill(process_, signal); }

ProgramResult RunningProgram::wait() {
  int status = 0;
  ::waitpid(process_, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_file(out_), read_file(err_)};
}

ProgramResult run_program(const std::string& name, const std::vector<std::string>& arguments,
                          const ProgramLimits& limits) {
  const TemporaryFolder folder;
  return RunningProgram(name, arguments, folder.path(), limits).wait();
}

namespace {

template <typename Condition>
bool comes_true(const Condition& condition) {
  for (int poll = 0; poll < 6000; ++poll) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

}  // namespace

bool appears(const std::filesystem::path& path) {
  return comes_true([&] { return std::filesystem::exists(path); });
}

bool says(const std::filesystem::path& path, const std::string& text) {
  return comes_true(
      [&] { return std::filesystem::exists(path) && read_file(path).find(text) != std::string::npos; });
}

}  // namespace ddpm
