// What every collection of images offers to the preparation.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "data/image.h"
#include "data/labels.h"

namespace ddpm {

// Reads images by index; belongs to one thread.
class ImageReader {
 public:
  ImageReader() = default;
  virtual ~ImageReader() = default;
  ImageReader(const ImageReader&) = delete;
  ImageReader& operator=(const ImageReader&) = delete;

  // Image i as it is stored, 1 or 3 channels. Unreadable or damaged ones are an InputError that names the
  // file.
  virtual Image read(int64_t i) = 0;
};

// A collection of a known number of images; its functions may be called from several threads.
class ImageSource {
 public:
  ImageSource() = default;
  virtual ~ImageSource() = default;
  ImageSource(const ImageSource&) = delete;
  ImageSource& operator=(const ImageSource&) = delete;

  virtual std::string name() const = 0;
  // Empty where the collection is not divided.
  virtual std::string split() const { return {}; }
  virtual int64_t count() const = 0;
  virtual const Labels& labels() const = 0;
  virtual std::unique_ptr<ImageReader> open_reader() const = 0;
};

}  // namespace ddpm
