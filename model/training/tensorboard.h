// TensorBoard's event files: what a run logs as curves and pictures that TensorBoard shows.
//
// An event file is a sequence of TFRecords (length, its checksum, bytes, their checksum), each an Event
// message of tensorflow/core/util/event.proto. Of protobuf only the wire format of five field types is
// needed, some forty lines here; its library would add a code generator to the build and a shared library to
// every program.
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
  // A new file in `folder` for a run that goes on after `step`. TensorBoard then drops what earlier files of
  // the folder hold of later steps, since they are done again. A file of its own at every start, because
  // TensorBoard reads a file no further than to a record that a killed run left unfinished. InputError where
  // it cannot be written.
  TensorBoardWriter(const std::filesystem::path& folder, int64_t step);

  const std::filesystem::path& path() const { return path_; }

  // Values of one moment. Each call reaches the file system before it returns; InputError where it cannot.
  void add_scalars(int64_t step, const std::vector<Scalar>& scalars);
  void add_image(int64_t step, const std::string& tag, const ImageView& image);

 private:
  void write_record(std::string_view event);
  std::filesystem::path path_;
  std::ofstream file_;
};

}  // namespace ddpm
