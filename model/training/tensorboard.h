// Writes TensorBoard event files: scalars and images.
//
// An event file is a sequence of TFRecords (length, its checksum, bytes, their checksum), each an Event
// message of tensorflow/core/util/event.proto. That takes five field types of protobuf's wire format, some
// forty lines here; the library would add a code generator to the build and a dependency to every program.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "data/image.h"

namespace ddpm {

// CRC-32C (Castagnoli), RFC 3720 appendix B.4.
uint32_t crc32c(std::string_view bytes);

struct Scalar {
  std::string tag;  // a slash makes groups: "loss/mean"
  double value = 0;
};

class TensorBoardWriter {
 public:
  // A new file in `folder` for a run that continues after `step`: TensorBoard then drops later steps of
  // earlier files, since they are repeated. Every start needs a file of its own, because TensorBoard stops
  // reading at a record that a killed run left unfinished. InputError if the file cannot be written.
  TensorBoardWriter(const std::filesystem::path& folder, int64_t step);

  const std::filesystem::path& path() const { return path_; }

  // The values of one step. Flushed to the file before it returns; InputError if that fails.
  void add_scalars(int64_t step, const std::vector<Scalar>& scalars);
  void add_image(int64_t step, const std::string& tag, const ImageView& image);

 private:
  void write_record(std::string_view event);
  std::filesystem::path path_;
  std::ofstream file_;
};

}  // namespace ddpm
