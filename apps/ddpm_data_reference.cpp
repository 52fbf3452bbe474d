// ddpm_data reference: the images of a data set in the formats of evaluation tools.
#include <nlohmann/json.hpp>

#include "apps/ddpm_data_commands.h"
#include "apps/image_folder_record.h"
#include "data/dataset.h"
#include "data/npz.h"
#include "data/png.h"
#include "support/atomic_file.h"
#include "support/error.h"
#include "support/interrupt.h"
#include "support/progress_bar.h"

namespace ddpm {
namespace {

// The data set's card, which has crop and filter, and the number of images taken.
std::string record_of(const Dataset& dataset, const std::filesystem::path& npy, int64_t count) {
  const nlohmann::ordered_json record = {{"program", "ddpm_data reference"},
                                         {"dataset", npy.filename().string()},
                                         {"count", count},
                                         {"card", nlohmann::ordered_json::parse(to_json(dataset.card()))}};
  return record.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

// Counts images and throws if the user interrupts.
class Progress {
 public:
  explicit Progress(const char* label, int64_t total) : bar_({.label = label, .total = total}) {}
  void add() {
    bar_.update(++done_);
    if (interrupted()) throw Error("interrupted: run the same command again");
  }

 private:
  ProgressBar bar_;
  int64_t done_ = 0;
};

void write_folder(const Dataset& dataset, int64_t count, const std::filesystem::path& folder) {
  Progress progress("PNG files", count);
  for (int64_t i = 0; i < count; ++i) {
    write_png(folder / image_file_name(i), dataset.image(i));
    progress.add();
  }
}

void write_array(const Dataset& dataset, int64_t count, const std::filesystem::path& npz) {
  Progress progress("npz", count);
  write_npz(npz, {.image =
                      [&](int64_t i) {
                        progress.add();
                        return copy(dataset.image(i)).pixels;
                      },
                  .count = count,
                  .height = dataset.height(),
                  .width = dataset.width(),
                  .channels = dataset.channels()});
}

}  // namespace

int run_reference(const ReferenceCommand& command) {
  if (command.png_directory.empty() && command.npz.empty())
    throw_input("no output was requested: give --png-dir or --npz");
  if (command.count < 0) throw_input("--count: expected at least 0, got {}", command.count);
  const Dataset dataset = Dataset::open(command.npy);
  if (command.count > dataset.count())
    throw_input("--count: expected at most {}, the images of {}, got {}", dataset.count(),
                command.npy.string(), command.count);
  const int64_t count = command.count > 0 ? command.count : dataset.count();
  const std::string record = record_of(dataset, command.npy, count);
  if (dataset.card().source == "unknown")
    fmt::print(stderr, "{} has no card: the crop of its images is unknown\n", command.npy.string());

  if (!command.png_directory.empty()) {
    claim_image_folder(command.png_directory, record);
    write_folder(dataset, count, command.png_directory);
    fmt::print("{}: {} images, {}\n", command.png_directory.string(), count,
               record_path(command.png_directory).string());
  }
  if (!command.npz.empty()) {
    write_array(dataset, count, command.npz);
    write_file_atomically(record_path(command.npz), record);
    fmt::print("{}: {} images, {}\n", command.npz.string(), count, record_path(command.npz).string());
  }
  return 0;
}

}  // namespace ddpm
