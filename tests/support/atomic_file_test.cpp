// Files appear complete or not at all.
#include "support/atomic_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "support/error.h"
#include "tests/temporary_folder.h"

namespace ddpm {
namespace {

using ::testing::HasSubstr;

TEST(AtomicFile, IsInvisibleUntilCommitted) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "a.txt";
  write_file_atomically(path, "old");
  {
    AtomicFile file(path);
    file.write("new and longer");
    EXPECT_EQ(read_file(path), "old");
    file.commit();
  }
  EXPECT_EQ(read_file(path), "new and longer");
}

TEST(AtomicFile, LeavesNothingBehindWhenAbandoned) {
  const TemporaryFolder folder;
  {
    AtomicFile file(folder.path() / "a.txt");
    file.write("half");
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(AtomicFile, SeekRewritesTheHeader) {
  const TemporaryFolder folder;
  AtomicFile file(folder.path() / "a.txt");
  file.write("0000body");
  file.seek(0);
  file.write("head");
  file.commit();
  EXPECT_EQ(read_file(file.path()), "headbody");
}

TEST(AtomicFile, MissingFolderErrorNamesTheFile) {
  try {
    AtomicFile file("/nonexistent/folder/a.txt");
    FAIL() << "nothing was thrown";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("/nonexistent/folder/a.txt"));
    EXPECT_THAT(error.what(), HasSubstr("No such file"));
  }
}

TEST(ReadFile, RefusesAMissingFileAndAFolder) {
  const TemporaryFolder folder;
  EXPECT_THROW(read_file(folder.path() / "none"), InputError);
  EXPECT_THROW(read_file(folder.path()), InputError);
}

TEST(CreateFolder, RefusesTheNameOfAFile) {
  const TemporaryFolder folder;
  write_file_atomically(folder.path() / "a", "x");
  EXPECT_THROW(create_folder(folder.path() / "a"), InputError);
  EXPECT_THROW(create_folder(folder.path() / "a" / "b"), InputError);
  create_folder(folder.path() / "c" / "d");
  create_folder(folder.path() / "c" / "d");
  EXPECT_TRUE(std::filesystem::is_directory(folder.path() / "c" / "d"));
}

void write_folder(const std::filesystem::path& folder, const char* text) {
  create_folder(folder);
  write_file_atomically(folder / "file", text);
}

TEST(ReplaceFolder, WorksWithAndWithoutATarget) {
  const TemporaryFolder folder;
  const std::filesystem::path from = folder.path() / "new", to = folder.path() / "final";
  for (const char* text : {"first", "second"}) {
    write_folder(from, text);
    replace_folder(from, to);
    EXPECT_EQ(read_file(to / "file"), text);
    EXPECT_FALSE(std::filesystem::exists(from));
  }
}

TEST(ReplaceFolder, MissingSourceLeavesTheTargetAlone) {
  const TemporaryFolder folder;
  write_folder(folder.path() / "final", "kept");
  EXPECT_THROW(replace_folder(folder.path() / "none", folder.path() / "final"), InputError);
  EXPECT_EQ(read_file(folder.path() / "final" / "file"), "kept");
}

}  // namespace
}  // namespace ddpm
