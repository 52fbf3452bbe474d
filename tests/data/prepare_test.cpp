// The pipeline from a source to a data set on disk: order, threads, errors, early stops and leftovers.
#include "data/prepare.h"

#include <gmock/gmock.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <fstream>
#include <thread>

#include "data/ordered_workers.h"
#include "data/synthetic_faces.h"
#include "tests/data/pattern.h"
#include "tests/temporary_folder.h"

namespace ddpm {
namespace {

using testing::AllOf;
using testing::HasSubstr;
namespace fs = std::filesystem;

// Image i is 10x8 and filled with i. Image `broken_` and those after it cannot be read.
class CountingSource : public ImageSource {
 public:
  explicit CountingSource(int64_t count, int64_t broken = -1) : count_(count), broken_(broken) {
    labels_.kind = LabelKind::kClasses;
    for (int64_t i = 0; i < count; ++i) labels_.classes.push_back(static_cast<int32_t>(i % 7));
    for (int k = 0; k < 7; ++k) labels_.names.push_back(fmt::format("class {}", k));
  }
  std::string name() const override { return "counting"; }
  int64_t count() const override { return count_; }
  const Labels& labels() const override { return labels_; }

  std::unique_ptr<ImageReader> open_reader() const override {
    class Reader : public ImageReader {
     public:
      explicit Reader(int64_t broken) : broken_(broken) {}
      Image read(int64_t i) override {
        if (broken_ >= 0 && i >= broken_) throw_input("image {} is broken", i);
        Image image(10, 8, 1);
        std::fill(image.pixels.begin(), image.pixels.end(), static_cast<uint8_t>(i % 256));
        return image;
      }

     private:
      int64_t broken_;
    };
    return std::make_unique<Reader>(broken_);
  }

 private:
  int64_t count_;
  int64_t broken_;
  Labels labels_;
};

PrepareOptions small_options(int threads) {
  PrepareOptions options;
  options.size = 4;
  options.threads = threads;
  return options;
}

std::vector<std::string> files_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

TEST(Prepare, OrderDoesNotDependOnThreads) {
  const TemporaryFolder folder;
  std::string hash;
  for (const int threads : {1, 2, 5}) {
    const DatasetCard card =
        prepare_dataset(CountingSource(300), small_options(threads), folder.path() / "a.npy");
    const Dataset dataset = Dataset::open(folder.path() / "a.npy");
    ASSERT_EQ(dataset.count(), 300);
    for (int64_t i = 0; i < 300; ++i) ASSERT_EQ(dataset.image(i).row(3)[11], i % 256);
    EXPECT_EQ(dataset.hash(), dataset.compute_hash());
    EXPECT_EQ(dataset.labels().classes, CountingSource(300).labels().classes);
    if (hash.empty()) hash = card.hash;
    EXPECT_EQ(card.hash, hash);
  }
  EXPECT_EQ(files_in(folder.path()), (std::vector<std::string>{"a.json", "a.labels.npy", "a.npy"}));
}

TEST(Prepare, LimitKeepsTheFirstImages) {
  PrepareOptions options = small_options(2);
  options.limit = 5;
  const TemporaryFolder folder;
  prepare_dataset(CountingSource(30), options, folder.path() / "a.npy");
  const Dataset dataset = Dataset::open(folder.path() / "a.npy");
  EXPECT_EQ(dataset.count(), 5);
  EXPECT_EQ(dataset.labels().count(), 5);
  EXPECT_EQ(dataset.card().crop, "none");
  options.limit = 100;
  EXPECT_EQ(prepare_in_memory(CountingSource(30), options).count(), 30);
}

TEST(Prepare, MemoryAndFileHoldTheSame) {
  const TemporaryFolder folder;
  const auto faces = open_synthetic_faces({.count = 20, .size = 16, .seed = 5});
  PrepareOptions options;
  options.size = 16;
  const DatasetCard card = prepare_dataset(*faces, options, folder.path() / "faces.npy");
  const Dataset memory = prepare_in_memory(*faces, options);
  EXPECT_EQ(memory.hash(), card.hash);
  EXPECT_EQ(memory.labels().attributes, Dataset::open(folder.path() / "faces.npy").labels().attributes);
}

TEST(Prepare, OneChannelIsGray) {
  PrepareOptions options = small_options(1);
  options.channels = 1;
  const Dataset dataset = prepare_in_memory(CountingSource(3), options);
  EXPECT_EQ(dataset.channels(), 1);
  EXPECT_EQ(dataset.image(2).row(0)[0], 2);
}

TEST(Prepare, FirstBadImageIsReportedAndNothingIsLeft) {
  const TemporaryFolder folder;
  for (const int threads : {1, 4})
    EXPECT_EQ(input_error([&] {
                prepare_dataset(CountingSource(500, 137), small_options(threads), folder.path() / "a.npy");
              }),
              "image 137 is broken");
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(Prepare, FailureLeavesTheEarlierSetAlone) {
  const TemporaryFolder folder;
  prepare_dataset(CountingSource(10), small_options(1), folder.path() / "a.npy");
  EXPECT_THROW(prepare_dataset(CountingSource(20, 3), small_options(1), folder.path() / "a.npy"), InputError);
  EXPECT_EQ(Dataset::open(folder.path() / "a.npy").count(), 10);
}

TEST(Prepare, StoppedByTheProgressFunctionLeavesNothing) {
  const TemporaryFolder folder;
  int64_t last = 0;
  EXPECT_THROW(prepare_dataset(CountingSource(500), small_options(2), folder.path() / "a.npy",
                               [&](int64_t done, int64_t total) {
                                 EXPECT_EQ(done, last + 1);
                                 EXPECT_EQ(total, 500);
                                 last = done;
                                 return done < 40;
                               }),
               PreparationStopped);
  EXPECT_EQ(last, 40);
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(Prepare, OptionsOutOfRangeAreErrors) {
  const TemporaryFolder folder;
  const auto error = [&](auto change) {
    PrepareOptions options = small_options(1);
    change(options);
    return input_error([&] { prepare_dataset(CountingSource(3), options, folder.path() / "a.npy"); });
  };
  EXPECT_THAT(error([](PrepareOptions& options) { options.size = 0; }), HasSubstr("size 0"));
  EXPECT_THAT(error([](PrepareOptions& options) { options.size = 100000; }), HasSubstr("size 100000"));
  EXPECT_THAT(error([](PrepareOptions& options) { options.channels = 4; }), HasSubstr("4 channels"));
  EXPECT_THAT(error([](PrepareOptions& options) { options.limit = -1; }), HasSubstr("limit -1"));
  EXPECT_THAT(error([](PrepareOptions& options) { options.threads = -2; }), HasSubstr("threads -2"));
  EXPECT_THAT(
      input_error([&] { prepare_dataset(CountingSource(3), small_options(1), folder.path() / "a.zip"); }),
      HasSubstr(".npy"));
  EXPECT_THAT(
      input_error([&] { prepare_dataset(CountingSource(0), small_options(1), folder.path() / "a.npy"); }),
      HasSubstr("no images"));
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(Prepare, MismatchedCropIsAnErrorWithTheImagesIndex) {
  PrepareOptions options = small_options(2);
  options.crop = Crop::kDdim;
  EXPECT_THAT(input_error([&] { prepare_in_memory(CountingSource(3), options); }),
              AllOf(HasSubstr("image 0"), HasSubstr("10x8")));
}

TEST(Prepare, UnwritableFolderIsAnError) {
  EXPECT_THAT(input_error([] { prepare_dataset(CountingSource(3), small_options(1), "/nonexistent/a.npy"); }),
              HasSubstr("/nonexistent/a.npy"));
}

// A limit on the file size simulates a full disk: the same write fails.
TEST(Prepare, FullDiskIsAnErrorAndLeavesNothing) {
  const TemporaryFolder folder;
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{64 * 1024, before.rlim_max};
  std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  PrepareOptions options = small_options(2);
  options.size = 32;
  const std::string error =
      input_error([&] { prepare_dataset(CountingSource(500), options, folder.path() / "a.npy"); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, SIG_DFL);
  EXPECT_THAT(error, HasSubstr("cannot write"));
  EXPECT_THAT(error, HasSubstr("a.npy"));
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(OrderedWorkers, DeliversInOrderWithinItsWindow) {
  std::atomic<int64_t> made = 0;
  OrderedWorkers<int64_t> workers(1000, 3, [&made]() -> OrderedWorkers<int64_t>::Produce {
    return [&made](int64_t i) {
      ++made;
      if (i % 17 == 0) std::this_thread::yield();
      return i * i;
    };
  });
  for (int64_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(workers.next(), i * i);
    ASSERT_LE(made.load(), i + 1 + 3 * 32);  // at most 32 items wait per thread
  }
}

TEST(OrderedWorkers, FailureToStartReachesTheConsumer) {
  OrderedWorkers<int> workers(10, 2, []() -> OrderedWorkers<int>::Produce { throw_input("no archive"); });
  EXPECT_EQ(input_error([&] { workers.next(); }), "no archive");
}

TEST(OrderedWorkers, MayBeDestroyedEarly) {
  OrderedWorkers<int> workers(100000, 4, [] { return [](int64_t i) { return static_cast<int>(i); }; });
  EXPECT_EQ(workers.next(), 0);
}

}  // namespace
}  // namespace ddpm
