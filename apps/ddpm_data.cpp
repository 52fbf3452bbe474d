// ddpm_data: turns collections of images into data sets, draws the synthetic faces, and shows what a data
// set holds.
#include "apps/app.h"
#include "apps/command_line.h"
#include "apps/ddpm_data_commands.h"
#include "support/interrupt.h"

namespace ddpm {
namespace {

// "celeba VALUE, folder VALUE, ...": what `value` says about each source.
template <typename Value>
std::string by_source(const Value& value) {
  std::string text;
  for (const PrepareSource& source : prepare_sources())
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", source.name, value(source.defaults));
  return text;
}

void add_prepare(CLI::App& app, PrepareCommand& command) {
  CLI::App* prepare = app.add_subcommand("prepare", "Decode, crop and resize images into one array NAME.npy");
  prepare->group("Commands");
  prepare->add_option("--source", command.source, "celeba, folder, cifar10 or mnist")
      ->required()
      ->group("Input");
  prepare
      ->add_option("--input", command.input,
                   "Archive, file or folder of the images; for folder also a zip archive")
      ->required()
      ->group("Input");
  prepare
      ->add_option("--annotations", command.annotations,
                   "celeba: folder of the list_*.txt (default: beside --input)")
      ->group("Input");
  prepare->add_option("--split", command.split, "train, validation, test or all")
      ->capture_default_str()
      ->group("Input");
  prepare->add_flag("--classes", command.classes_from_subfolders, "folder: the subfolders are the classes")
      ->group("Input");
  prepare->add_option("--limit", command.limit, "Take only the first images (0: all)")
      ->capture_default_str()
      ->group("Input");
  prepare
      ->add_option("--crop", command.crop,
                   fmt::format("ddim, score_sde, adm, edm, center or none (default: {})",
                               by_source([](const SourceDefaults& from) { return crop_name(from.crop); })))
      ->group("Image");
  prepare
      ->add_option("--size", command.size,
                   fmt::format("Side of the square images (default: {}; 32 with --pad)",
                               by_source([](const SourceDefaults& from) { return from.size; })))
      ->group("Image");
  prepare
      ->add_option("--filter", command.filter,
                   "box, bilinear, bicubic or lanczos (default: the crop's own; adm bicubic, edm lanczos, "
                   "else bilinear)")
      ->group("Image");
  prepare->add_option("--channels", command.channels, "3 (RGB) or 1 (gray)")
      ->capture_default_str()
      ->group("Image");
  prepare->add_flag("--pad", command.pad, "mnist: pad the digits from 28x28 to 32x32")->group("Image");
  prepare->add_option("--out", command.out, "NAME.npy; labels and card are written beside it")
      ->required()
      ->group("Output");
  prepare->add_option("--threads", command.threads, "Threads (0: all cores)")
      ->capture_default_str()
      ->group("Output");
}

void add_synthetic_faces(CLI::App& app, SyntheticFacesCommand& command) {
  CLI::App* faces =
      app.add_subcommand("synthetic-faces", "Draw cartoon faces, as NAME.npy or in CelebA's layout");
  faces->group("Commands");
  faces->add_option("--count", command.count, "Number of faces")->capture_default_str();
  faces->add_option("--size", command.size, "Side of the square images of --out")->capture_default_str();
  faces->add_option("--seed", command.seed, "Seed; face i is a function of it and i alone")
      ->capture_default_str();
  faces->add_option("--out", command.out, "NAME.npy; labels and card are written beside it");
  faces->add_option("--celeba-layout", command.celeba_layout,
                    "Folder for img_align_celeba.zip (178x218 JPEG) and both list_*.txt, instead of --out");
  faces->add_option("--threads", command.threads, "Threads (0: all cores)")->capture_default_str();
}

void add_info(CLI::App& app, std::filesystem::path& npy) {
  CLI::App* info = app.add_subcommand("info", "Show shape, hash, mean and deviation, and label statistics");
  info->group("Commands");
  info->add_option("file", npy, "NAME.npy")->required();
}

void add_preview(CLI::App& app, PreviewCommand& command) {
  CLI::App* preview = app.add_subcommand("preview", "Write images of a data set as one PNG");
  preview->group("Commands");
  preview->add_option("file", command.npy, "NAME.npy")->required();
  preview->add_option("--grid", command.grid, "The PNG to write")->required();
  preview->add_option("--count", command.count, "Number of images")->capture_default_str();
  preview->add_option("--first", command.first, "Index of the first image")->capture_default_str();
  preview->add_option("--columns", command.columns, "Images per row (0: square)")->capture_default_str();
}

void add_reference(CLI::App& app, ReferenceCommand& command) {
  CLI::App* reference =
      app.add_subcommand("reference", "Write the images of a data set in the formats of evaluation tools");
  reference->group("Commands");
  reference->add_option("file", command.npy, "NAME.npy")->required();
  reference->add_option("--png-dir", command.png_directory,
                        "Folder for 000000.png, ...; DIR.json records the crop");
  reference->add_option("--npz", command.npz,
                        "NAME.npz with arr_0, uint8 (N, H, W, C); FILE.json records the crop");
  reference->add_option("--count", command.count, "Take only the first images (0: all)")
      ->capture_default_str();
}

void add_export(CLI::App& app, ExportCommand& command) {
  CLI::App* command_line = app.add_subcommand(
      "export", "Write a data set as a zip archive of JPEG files, which prepare --source folder reads");
  command_line->group("Commands");
  command_line->add_option("file", command.npy, "NAME.npy")->required();
  command_line->add_option("--zip", command.zip, "Archive to write: 000000.jpg, ..., labels and card")
      ->required();
  command_line->add_option("--quality", command.quality, "JPEG quality, 1 to 100")->capture_default_str();
  command_line
      ->add_option("--chroma", command.chroma, "Chroma subsampling: 4:4:4 (none) or 4:2:0 (half resolution)")
      ->capture_default_str();
  command_line->add_option("--limit", command.limit, "Take only the first images (0: all)")
      ->capture_default_str();
  command_line->add_option("--threads", command.threads, "Threads (0: all cores)")->capture_default_str();
}

int run(int argc, char** argv) {
  CLI::App app("Prepares the data sets that ddpm_train trains on", "ddpm_data");
  app.require_subcommand(1);
  PrepareCommand prepare;
  SyntheticFacesCommand faces;
  std::filesystem::path info;
  PreviewCommand preview;
  ReferenceCommand reference;
  ExportCommand export_command;
  add_prepare(app, prepare);
  add_synthetic_faces(app, faces);
  add_info(app, info);
  add_preview(app, preview);
  add_reference(app, reference);
  add_export(app, export_command);
  app.footer("ddpm_data COMMAND --help lists the options of a command.");
  if (const auto code = parse_command_line(app, argc, argv)) return *code;
  install_interrupt_handler();
  if (app.got_subcommand("prepare")) return run_prepare(prepare);
  if (app.got_subcommand("synthetic-faces")) return run_synthetic_faces(faces);
  if (app.got_subcommand("info")) return run_info(info);
  if (app.got_subcommand("reference")) return run_reference(reference);
  if (app.got_subcommand("export")) return run_export(export_command);
  return run_preview(preview);
}

}  // namespace
}  // namespace ddpm

int main(int argc, char** argv) {
  return ddpm::run_app("ddpm_data", [&] { return ddpm::run(argc, argv); });
}
