// The interface of an image collection that data/prepare.h turns into a data set.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "data/crop.h"
#include "data/image.h"
#include "data/labels.h"

namespace ddpm {

// The crop and the size to prepare a source's images with unless the user chooses others.
struct SourceDefaults {
  Crop crop = Crop::kNone;
  int size = 64;
};

// Reads images by index; used by one thread.
class ImageReader {
 public:
  ImageReader() = default;
  virtual ~ImageReader() = default;
  ImageReader(const ImageReader&) = delete;
  ImageReader& operator=(const ImageReader&) = delete;

  // Image i as stored, with 1 or 3 channels; InputError, naming the file, if it is unreadable or damaged.
  virtual Image read(int64_t i) = 0;
};

// A collection of a known number of images. Its functions are thread-safe.
class ImageSource {
 public:
  ImageSource() = default;
  virtual ~ImageSource() = default;
  ImageSource(const ImageSource&) = delete;
  ImageSource& operator=(const ImageSource&) = delete;

  virtual std::string name() const = 0;
  // Empty if the collection has no splits.
  virtual std::string split() const { return {}; }
  virtual SourceDefaults defaults() const { return {}; }
  virtual int64_t count() const = 0;
  virtual const Labels& labels() const = 0;
  virtual std::unique_ptr<ImageReader> open_reader() const = 0;
};

}  // namespace ddpm
