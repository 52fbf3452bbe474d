#include "apps/image_stream.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "apps/image_folder_record.h"
#include "data/png.h"

namespace ddpm {

ImageStream::ImageStream(ImageStreamOptions options, Draw draw)
    : options_(std::move(options)),
      draw_(std::move(draw)),
      exists_(static_cast<size_t>(options_.count)),
      next_(options_.first) {
  if (!options_.folder.empty() && options_.existing == ExistingImages::kAreKept)
    for (size_t i = 0; i < exists_.size(); ++i)
      exists_[i] = std::filesystem::exists(options_.folder /
                                           image_file_name(options_.first + static_cast<int64_t>(i)));
  to_draw_ = std::count(exists_.begin(), exists_.end(), false);
}

bool ImageStream::exists(int64_t i) const { return exists_[static_cast<size_t>(i - options_.first)]; }

int64_t ImageStream::draw_from(int64_t i, std::vector<Image>& images) {
  const int64_t end = std::min(i + options_.batch, options_.first + options_.count);
  int64_t after = i;
  while (after < end && !exists(after)) ++after;
  images = draw_(i, static_cast<int>(after - i));
  if (!options_.folder.empty())
    for (const Image& image : images) write_png(options_.folder / image_file_name(i++), image);
  drawn_ += static_cast<int64_t>(images.size());
  return after;
}

Image ImageStream::next() {
  if (waiting_.empty()) {
    if (exists(next_)) return read_png(options_.folder / image_file_name(next_++));
    std::vector<Image> images;
    next_ = draw_from(next_, images);
    std::move(images.begin(), images.end(), std::back_inserter(waiting_));
  }
  Image image = std::move(waiting_.front());
  waiting_.pop_front();
  return image;
}

void ImageStream::draw_all() {
  std::vector<Image> images;
  for (int64_t i = options_.first; i < options_.first + options_.count;)
    i = exists(i) ? i + 1 : draw_from(i, images);
}

}  // namespace ddpm
