// The plan cache file: persistence, concurrent processes, and foreign files.
#include "runtime/library/plan_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <iterator>
#include <vector>

#include "support/atomic_file.h"

namespace ddpm {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Optional;

class PlanCacheTest : public testing::Test {
 protected:
  PlanCacheTest()
      : folder_(std::filesystem::temp_directory_path() /
                ("ddpm-plan-cache-" + std::to_string(::getpid()) + "-" +
                 testing::UnitTest::GetInstance()->current_test_info()->name())) {}
  ~PlanCacheTest() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path file() const { return folder_ / "deeper" / "plans.json"; }
  PlanCache open() {
    return PlanCache(file(), [this](const std::string& line) { log_.push_back(line); });
  }
  void put(const std::string& text) {
    create_folder(file().parent_path());
    write_file_atomically(file(), text);
  }

  std::filesystem::path folder_;
  std::vector<std::string> log_;
};

TEST_F(PlanCacheTest, PersistsPlans) {
  PlanCache first = open();
  EXPECT_EQ(first.find("3x3"), std::nullopt);
  first.store("3x3", R"({"engine": 62})");
  EXPECT_THAT(first.find("3x3"), Optional(std::string(R"({"engine": 62})")));
  EXPECT_EQ(open().find("3x3"), std::nullopt) << "not saved yet";
  first.save();
  EXPECT_THAT(open().find("3x3"), Optional(std::string(R"({"engine": 62})")));
  EXPECT_THAT(log_, IsEmpty());
}

TEST_F(PlanCacheTest, ProcessesSharingTheFileMergeTheirPlans) {
  PlanCache one = open(), other = open();
  one.store("a", "one's a");
  one.store("both", "one's");
  other.store("b", "other's b");
  other.store("both", "other's");
  one.save();
  other.save();
  const PlanCache next = open();
  EXPECT_THAT(next.find("a"), Optional(std::string("one's a")));
  EXPECT_THAT(next.find("b"), Optional(std::string("other's b")));
  EXPECT_THAT(next.find("both"), Optional(std::string("one's")));
}

// A plan that the library can no longer restore, e.g. after an update, is remeasured once, not in every run.
TEST_F(PlanCacheTest, RemeasuredPlanReplacesTheOldOne) {
  PlanCache first = open();
  first.store("a", "old");
  first.store("b", "kept");
  first.save();
  PlanCache one = open(), other = open();
  one.store("a", "new");
  one.save();
  EXPECT_THAT(open().find("a"), Optional(std::string("new")));
  other.store("a", "later");
  other.save();
  EXPECT_THAT(open().find("a"), Optional(std::string("new"))) << "the first process to save wins";
  EXPECT_THAT(open().find("b"), Optional(std::string("kept")));
}

TEST_F(PlanCacheTest, SavesPeriodically) {
  using namespace std::chrono_literals;
  PlanCache eager(file(), {}, 0ms);
  eager.store("a", "plan");
  EXPECT_THAT(open().find("a"), Optional(std::string("plan"))) << "a run that is cut off here loses nothing";
  PlanCache patient(file(), {}, 1h);
  patient.store("b", "plan");
  EXPECT_EQ(open().find("b"), std::nullopt) << "the file is not written for every plan";
}

TEST_F(PlanCacheTest, DestructorSavesTheRest) {
  { open().store("a", "plan"); }
  EXPECT_THAT(open().find("a"), Optional(std::string("plan")));
}

TEST_F(PlanCacheTest, PersistsRefusedPlans) {
  PlanCache first = open();
  first.store("3x3", "bad");
  first.store("1x1", "good");
  first.refuse({"3x3", "bad", "engine 7"}, "two runs differ");
  EXPECT_THAT(log_, ElementsAre("refused engine 7 for 3x3: two runs differ"));
  first.save();
  PlanCache next = open();
  EXPECT_TRUE(next.is_refused("3x3", "bad"));
  EXPECT_FALSE(next.is_refused("1x1", "bad")) << "another problem";
  EXPECT_EQ(next.find("3x3"), std::nullopt);
  EXPECT_THAT(next.find("1x1"), Optional(std::string("good")));
  next.store("3x3", "better");
  next.save();
  EXPECT_THAT(open().find("3x3"), Optional(std::string("better")));
}

TEST_F(PlanCacheTest, ProcessesSharingTheFileShareRefusedPlans) {
  PlanCache one = open(), other = open();
  one.refuse({"a", "x", "engine 1"}, "wrong");
  other.refuse({"a", "y", "engine 2"}, "wrong");
  one.save();
  other.save();
  EXPECT_EQ(open().refused_plans("a"), 2u);
}

size_t files_in(const std::filesystem::path& folder) {
  return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
}

TEST_F(PlanCacheTest, OnlyAnUnfinishedTrialRefusesItsPlan) {
  PlanCache cache = open();
  { const PlanCache::Trial ended(cache, {"a", "x", "engine 1"}); }
  EXPECT_FALSE(open().is_refused("a", "x"));
  {
    const PlanCache::Trial running(cache, {"a", "x", "engine 1"});
    EXPECT_FALSE(open().is_refused("a", "x")) << "its process is alive";
  }
  // A process that died leaves a note that nobody locks.
  const std::filesystem::path note = file().string() + ".trying-abcdef";
  write_file_atomically(note, R"({"key": "a", "plan": "x", "name": "engine 1"})");
  EXPECT_TRUE(open().is_refused("a", "x"));
  EXPECT_FALSE(std::filesystem::exists(note));
  EXPECT_TRUE(open().is_refused("a", "x")) << "kept in the cache";
}

TEST_F(PlanCacheTest, IgnoresMalformedNotes) {
  put(R"({"format": "ddpm.cu plans", "version": 1, "plans": {"a": "plan"}})");
  for (const char* text : {"", "{", "[1]", "3", R"({"key": 3})"}) {
    write_file_atomically(file().string() + ".trying-abcdef", text);
    EXPECT_THAT(open().find("a"), Optional(std::string("plan"))) << text;
  }
  EXPECT_EQ(files_in(file().parent_path()), 1u);
}

TEST_F(PlanCacheTest, LeavesOnlyThePlansFileBehind) {
  {
    PlanCache cache = open();
    const PlanCache::Trial trial(cache, {"a", "x", "engine 1"});
    cache.store("a", "y");
    EXPECT_EQ(files_in(file().parent_path()), 1u) << "the note";
  }
  EXPECT_EQ(files_in(file().parent_path()), 1u) << "the plans";
}

TEST_F(PlanCacheTest, LeavesForeignFilesAloneAndWarnsOnce) {
  for (const char* text :
       {"", "{", "[1, 2]", "notes of mine", R"({"format": "other", "version": 1, "plans": {}})",
        R"({"format": "ddpm.cu plans", "version": 2, "plans": {}})",
        R"({"format": "ddpm.cu plans", "version": 1, "plans": {"a": 3}})",
        R"({"format": "ddpm.cu plans", "version": 1, "plans": [1]})",
        R"({"format": "ddpm.cu plans", "version": 1, "plans": {}, "refused": {"a": 1}})",
        R"({"format": "ddpm.cu plans", "version": 1})"}) {
    log_.clear();
    put(text);
    PlanCache cache = open();
    EXPECT_EQ(cache.find("a"), std::nullopt);
    cache.store("a", "plan");
    cache.save();
    EXPECT_THAT(cache.find("a"), Optional(std::string("plan"))) << "kept for this process";
    EXPECT_EQ(read_file(file()), text);
    EXPECT_THAT(log_, ElementsAre(HasSubstr(file().string()))) << text;
  }
}

TEST_F(PlanCacheTest, LogsAFolderItCannotCreate) {
  create_folder(folder_);
  write_file_atomically(folder_ / "deeper", "a file where the folder would be");
  PlanCache cache = open();
  cache.store("a", "plan");
  cache.save();
  EXPECT_THAT(log_, ElementsAre(HasSubstr("deeper")));
}

TEST_F(PlanCacheTest, AnnouncesMeasurementsAndTheirFile) {
  PlanCache cache = open();
  cache.store("a", "plan");
  cache.announce({"a", "b", "c"});
  EXPECT_THAT(
      log_, ElementsAre("autotuning 2 convolutions and GEMMs on this GPU (kept in " + file().string() + ")"));
  log_.clear();
  cache.announce({"a"});
  EXPECT_THAT(log_, IsEmpty()) << "nothing has to be measured";
  PlanCache unkept("", [this](const std::string& line) { log_.push_back(line); });
  unkept.announce({"a"});
  EXPECT_THAT(log_, ElementsAre("autotuning 1 convolution or GEMM on this GPU (for this run alone)"));
}

TEST_F(PlanCacheTest, WithoutAFileWritesAndLogsNothing) {
  PlanCache cache("", [this](const std::string& line) { log_.push_back(line); });
  cache.store("a", "plan");
  cache.save();
  EXPECT_THAT(cache.find("a"), Optional(std::string("plan")));
  EXPECT_THAT(log_, IsEmpty());
}

TEST_F(PlanCacheTest, FollowsTheXdgSpecification) {
  ::setenv("HOME", "/home/someone", 1);
  ::setenv("XDG_CACHE_HOME", "/elsewhere", 1);
  EXPECT_EQ(default_plan_cache_file(), "/elsewhere/ddpm.cu/plans.json");
  ::setenv("XDG_CACHE_HOME", "relative/is/ignored", 1);
  EXPECT_EQ(default_plan_cache_file(), "/home/someone/.cache/ddpm.cu/plans.json");
  ::unsetenv("XDG_CACHE_HOME");
  EXPECT_EQ(default_plan_cache_file(), "/home/someone/.cache/ddpm.cu/plans.json");
  EXPECT_EQ(plan_cache_file("default"), default_plan_cache_file());
  EXPECT_EQ(plan_cache_file("none"), "");
  EXPECT_EQ(plan_cache_file("plans of/mine.json"), "plans of/mine.json");
  ::unsetenv("HOME");
  EXPECT_EQ(default_plan_cache_file(), "");
}

}  // namespace
}  // namespace ddpm
