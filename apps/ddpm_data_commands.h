// The subcommands of ddpm_data, apart from their command lines.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "data/image_source.h"

namespace ddpm {

// The values of --source, with the crop and the size that each is prepared with by default.
struct PrepareSource {
  std::string_view name;
  SourceDefaults defaults;
};
std::vector<PrepareSource> prepare_sources();

struct PrepareCommand {
  std::string source;
  std::filesystem::path input;
  std::filesystem::path annotations;
  std::string split = "train";
  std::string crop;    // empty: the source's own
  std::string filter;  // empty: the crop's own
  int size = 0;        // 0: the source's own
  int channels = 3;
  int64_t limit = 0;
  int threads = 0;
  bool classes_from_subfolders = false;
  bool pad = false;
  std::filesystem::path out;
};
int run_prepare(const PrepareCommand& command);

struct SyntheticFacesCommand {
  int64_t count = 5000;
  int size = 32;
  uint64_t seed = 0;
  int threads = 0;
  std::filesystem::path out;
  std::filesystem::path celeba_layout;
};
int run_synthetic_faces(const SyntheticFacesCommand& command);

// Prints shape, card, hash check, mean and standard deviation of the channels, and shares of the labels. Exit
// code 1 if the pixels do not match the card.
int run_info(const std::filesystem::path& npy);

struct PreviewCommand {
  std::filesystem::path npy;
  std::filesystem::path grid;
  int64_t count = 64;
  int64_t first = 0;
  int columns = 0;
};
int run_preview(const PreviewCommand& command);

struct ReferenceCommand {
  std::filesystem::path npy;
  std::filesystem::path png_directory;
  std::filesystem::path npz;
  int64_t count = 0;  // of the first images; 0: all
};
// The images as PNGs and as `arr_0` of an .npz, for evaluation tools, each with a record of the crop beside
// it (apps/image_folder_record.h).
int run_reference(const ReferenceCommand& command);

struct ExportCommand {
  std::filesystem::path npy;
  std::filesystem::path zip;
  int quality = 95;
  std::string chroma = "4:4:4";
  int64_t limit = 0;
  int threads = 0;
};
// The images as JPEG in a zip archive, with labels and card (data/image_archive.h). Prints size and PSNR.
int run_export(const ExportCommand& command);
}  // namespace ddpm
