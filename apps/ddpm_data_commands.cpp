#include "apps/ddpm_data_commands.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <memory>
#include <vector>

#include "data/celeba.h"
#include "data/celeba_layout.h"
#include "data/cifar10.h"
#include "data/grid.h"
#include "data/image_folder.h"
#include "data/mnist.h"
#include "data/png.h"
#include "data/prepare.h"
#include "data/synthetic_faces.h"
#include "support/error.h"
#include "support/interrupt.h"
#include "support/progress_bar.h"

namespace ddpm {
namespace {

std::unique_ptr<ImageSource> open_source(const PrepareCommand& command) {
  const Split split = split_from_name(command.split);
  if (command.source == "celeba")
    return open_celeba({.images = command.input, .annotations = command.annotations, .split = split});
  if (command.source == "folder")
    return open_image_folder(
        command.input, command.classes_from_subfolders ? FolderClasses::kSubfolder : FolderClasses::kNone);
  if (command.source == "cifar10") return open_cifar10(command.input, split);
  if (command.source == "mnist")
    return open_mnist(command.input, split, command.pad ? MnistPadding::kTo32 : MnistPadding::kNone);
  std::vector<std::string_view> names;
  for (const PrepareSource& source : prepare_sources()) names.push_back(source.name);
  throw_input("there is no source '{}': choose one of {}", command.source, fmt::join(names, ", "));
}

std::string describe(const DatasetCard& card) {
  return fmt::format("{} images of {}x{}x{}", card.count, card.height, card.width, card.channels);
}

// Prepares with a progress bar and prints the summary.
void prepare_and_report(const ImageSource& source, const PrepareOptions& options,
                        const std::filesystem::path& out) {
  ProgressBar bar({.label = source.name(), .total = limited_count(source.count(), options.limit)});
  const DatasetCard card = prepare_dataset(source, options, out, [&](int64_t done, int64_t) {
    bar.update(done);
    return !interrupted();
  });
  bar.clear();
  const DatasetPaths paths = dataset_paths(out);
  fmt::print("{}: {} in {}, {:.0f} images/s, {}\n", paths.pixels.string(), describe(card),
             format_duration(bar.elapsed_s()), bar.rate(card.count), card.hash);
  if (card.label_kind != "none")
    fmt::print("{}: {} ({})\n", paths.labels.string(), card.label_kind, card.label_names.size());
}

void print_pixel_statistics(const Dataset& dataset) {
  const int channels = dataset.channels();
  const size_t pixels = static_cast<size_t>(dataset.count()) * dataset.height() * dataset.width();
  // Integer sums: exact, whatever the number of images.
  std::array<uint64_t, 3> sum{};
  std::array<uint64_t, 3> square{};
  const uint8_t* values = dataset.pixels();
  for (size_t i = 0; i < pixels; ++i)
    for (int c = 0; c < channels; ++c) {
      const uint64_t value = values[i * channels + c];
      sum[c] += value;
      square[c] += value * value;
    }
  for (int c = 0; c < channels; ++c) {
    const double mean = static_cast<double>(sum[c]) / static_cast<double>(pixels);
    const double variance = static_cast<double>(square[c]) / static_cast<double>(pixels) - mean * mean;
    fmt::print("channel {}  mean {:.2f}  standard deviation {:.2f}\n", c, mean,
               std::sqrt(std::max(variance, 0.0)));
  }
}

void print_label_statistics(const Labels& labels) {
  if (labels.kind == LabelKind::kNone) return fmt::print("labels     none\n");
  const auto count = static_cast<double>(labels.count());
  std::vector<int64_t> counts(labels.names.size());
  for (size_t i = 0; i < labels.attributes.size(); ++i) counts[i % counts.size()] += labels.attributes[i];
  for (const int32_t value : labels.classes) {
    if (static_cast<size_t>(value) >= counts.size()) counts.resize(static_cast<size_t>(value) + 1);
    ++counts[static_cast<size_t>(value)];
  }
  fmt::print("labels     {} {}\n", counts.size(), label_kind_name(labels.kind));
  for (size_t i = 0; i < counts.size(); ++i)
    fmt::print("  {:22}{:8} {:5.1f}%\n", i < labels.names.size() ? labels.names[i] : fmt::format("{}", i),
               counts[i], 100.0 * static_cast<double>(counts[i]) / count);
}

}  // namespace

std::vector<PrepareSource> prepare_sources() {
  return {{"celeba", kCelebaDefaults},
          {"folder", kFolderDefaults},
          {"cifar10", kCifar10Defaults},
          {"mnist", mnist_defaults(MnistPadding::kNone)}};
}

int run_prepare(const PrepareCommand& command) {
  const std::unique_ptr<ImageSource> source = open_source(command);
  PrepareOptions options;
  options.crop = command.crop.empty() ? source->defaults().crop : crop_from_name(command.crop);
  if (!command.filter.empty()) options.filter = filter_from_name(command.filter);
  options.size = command.size != 0 ? command.size : source->defaults().size;
  options.channels = command.channels;
  options.limit = command.limit;
  options.threads = command.threads;
  if (command.source == "celeba" && source->labels().kind == LabelKind::kNone)
    fmt::print(stderr, "list_attr_celeba.txt not found: the data set has no labels\n");
  prepare_and_report(*source, options, command.out);
  return 0;
}

int run_synthetic_faces(const SyntheticFacesCommand& command) {
  if (command.out.empty() == command.celeba_layout.empty())
    throw_input("synthetic-faces needs one of --out NAME.npy and --celeba-layout DIR");
  if (!command.celeba_layout.empty()) {
    ProgressBar bar({.label = "drawing", .total = command.count});
    write_celeba_layout({.count = command.count, .seed = command.seed, .threads = command.threads},
                        command.celeba_layout, [&](int64_t done, int64_t) {
                          bar.update(done);
                          return !interrupted();
                        });
    bar.clear();
    fmt::print("{}: {} faces in CelebA's layout in {}, {:.0f} images/s\n", command.celeba_layout.string(),
               command.count, format_duration(bar.elapsed_s()), bar.rate(command.count));
    return 0;
  }
  const std::unique_ptr<ImageSource> faces =
      open_synthetic_faces({.count = command.count, .size = command.size, .seed = command.seed});
  PrepareOptions options;
  options.crop = faces->defaults().crop;
  options.size = faces->defaults().size;
  options.threads = command.threads;
  prepare_and_report(*faces, options, command.out);
  return 0;
}

int run_info(const std::filesystem::path& npy) {
  const Dataset dataset = Dataset::open(npy);
  const DatasetCard& card = dataset.card();
  const auto or_dash = [](const std::string& text) { return text.empty() ? "-" : text; };
  fmt::print("{}\nimages     {}\nsource     {}  split {}  crop {}  filter {}\n", npy.string(), describe(card),
             card.source, or_dash(card.split), or_dash(card.crop), or_dash(card.filter));
  const std::string hash = dataset.compute_hash();
  const bool intact = hash == dataset.hash();
  fmt::print("hash       {} ({})\n", hash,
             card.hash.empty() ? "no card to compare with"
             : intact
                 ? "matches the card"
                 : "the card has " + card.hash + ": the pixels were changed; prepare the data set again");
  print_pixel_statistics(dataset);
  print_label_statistics(dataset.labels());
  return intact ? 0 : 1;
}

int run_preview(const PreviewCommand& command) {
  const Dataset dataset = Dataset::open(command.npy);
  if (command.first < 0 || command.first >= dataset.count())
    throw_input("--first: expected 0 to {}, the images of {}, got {}", dataset.count() - 1,
                command.npy.string(), command.first);
  if (command.count < 1 || command.columns < 0)
    throw_input("--count must be at least 1 and --columns at least 0");
  std::vector<ImageView> images;
  for (int64_t i = command.first; i < std::min(command.first + command.count, dataset.count()); ++i)
    images.push_back(dataset.image(i));
  write_png(command.grid, make_grid(images, {.columns = command.columns}));
  fmt::print("{}: images {} to {} of {}\n", command.grid.string(), command.first,
             command.first + static_cast<int64_t>(images.size()) - 1, command.npy.string());
  return 0;
}

}  // namespace ddpm
