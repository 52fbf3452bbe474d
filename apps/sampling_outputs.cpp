#include "apps/sampling_outputs.h"

#include <vector>

#include "apps/image_folder_record.h"
#include "data/apng.h"
#include "data/grid.h"
#include "data/npy.h"
#include "data/npz.h"
#include "data/png.h"
#include "data/tensor_order.h"
#include "support/atomic_file.h"
#include "support/error.h"

namespace ddpm {
namespace {

// Draws every image once; --npz is written as they come. Returns the images of the grid.
std::vector<Image> draw_all(const SamplingCommand& command, const UnetConfig& network, ImageDrawer& drawer) {
  std::vector<Image> grid;
  const auto next_image = [&] {
    Image image = drawer.next();
    if (!command.grid.empty()) grid.push_back(image);
    return image;
  };
  if (!command.npz.empty())
    write_npz(command.npz, {.image = [&](int64_t) { return next_image().pixels; },
                            .count = command.count,
                            .height = network.image_size,
                            .width = network.image_size,
                            .channels = network.in_channels});
  else if (!command.grid.empty())
    for (int64_t i = 0; i < command.count; ++i) next_image();
  else
    drawer.draw_missing();
  return grid;
}

// An evaluation tool takes all images of a folder.
void note_other_images(const std::filesystem::path& folder, int64_t count) {
  const int64_t found = count_images(folder);
  if (found != count)
    fmt::print(stderr, "{} holds {} images, but this command makes {}: the others stay there\n",
               folder.string(), found, count);
}

void write_values(const SamplingCommand& command, const UnetConfig& network,
                  const std::vector<float>& values) {
  const std::vector<int64_t> shape{command.count, network.in_channels, network.image_size,
                                   network.image_size};
  write_npy<float>(command.float_npy, channels_first(values, shape), shape);
}

// Calls write(path) and prints the path, where there is one.
template <typename Write>
void output(const std::filesystem::path& path, const Write& write) {
  if (path.empty()) return;
  write(path);
  fmt::print("{}\n", path.string());
}

}  // namespace

double write_outputs(const SamplingCommand& command, const UnetConfig& network, const std::string& record,
                     ImageDrawer& drawer) {
  drawer.begin();
  const std::vector<Image> grid = draw_all(command, network, drawer);
  const double seconds = drawer.finish();

  output(command.npz, [&](const auto& path) { write_file_atomically(record_path(path), record); });
  output(command.png_directory, [&](const auto& path) { note_other_images(path, command.count); });
  output(command.float_npy, [&](const auto&) { write_values(command, network, drawer.values()); });
  output(command.grid,
         [&](const auto& path) { write_png(path, make_grid(grid, {.columns = command.columns})); });
  output(command.process, [&](const auto& path) { write_png(path, drawer.process().strip()); });
  output(command.animation, [&](const auto& path) { write_apng(path, drawer.process().animation()); });
  return seconds;
}

}  // namespace ddpm
