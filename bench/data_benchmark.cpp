// The cost of preparing images, by stage and in total. The images are synthetic faces in CelebA's size and
// format; if DDPM_TEST_DATA is set, the last benchmark reads CelebA itself.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>

#include "data/celeba.h"
#include "data/crop.h"
#include "data/jpeg.h"
#include "data/ordered_workers.h"
#include "data/prepare.h"
#include "data/synthetic_faces.h"

namespace {

using namespace ddpm;

constexpr int kWidth = 178;
constexpr int kHeight = 218;

Image photograph(int64_t index) { return draw_synthetic_face(0, index, kWidth, kHeight, {89, 121, 64}); }

void count_images(benchmark::State& state, int64_t images_per_iteration = 1) {
  state.SetItemsProcessed(state.iterations() * images_per_iteration);
}

void decode(benchmark::State& state) {
  const std::vector<uint8_t> bytes = encode_jpeg(photograph(0), 92);
  JpegDecoder decoder;
  for (auto _ : state) benchmark::DoNotOptimize(decoder.decode(bytes, "face.jpg").pixels.data());
  count_images(state);
}
BENCHMARK(decode);

void crop_resize(benchmark::State& state, Crop crop) {
  const Image image = photograph(0);
  const int size = static_cast<int>(state.range(0));
  for (auto _ : state)
    benchmark::DoNotOptimize(crop_and_resize(image, crop, default_filter(crop), size).pixels.data());
  count_images(state);
}
BENCHMARK_CAPTURE(crop_resize, ddim, Crop::kDdim)->Arg(32)->Arg(64);
BENCHMARK_CAPTURE(crop_resize, adm, Crop::kAdm)->Arg(64);
BENCHMARK_CAPTURE(crop_resize, edm, Crop::kEdm)->Arg(64);

void draw_face(benchmark::State& state) {
  const int size = static_cast<int>(state.range(0));
  int64_t index = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(
        draw_synthetic_face(0, index++, size, size, {0.5 * size, 0.5 * size, 0.5 * size}).pixels.data());
  count_images(state);
}
BENCHMARK(draw_face)->Arg(32)->Arg(64);

// Decoding, cropping and resizing from memory on all cores.
void pipeline(benchmark::State& state) {
  constexpr int64_t kImages = 2000;
  std::vector<std::vector<uint8_t>> files;
  for (int64_t i = 0; i < 100; ++i) files.push_back(encode_jpeg(photograph(i), 92));
  for (auto _ : state) {
    OrderedWorkers<Image> workers(kImages, thread_count(0), [&]() -> OrderedWorkers<Image>::Produce {
      return [&files, decoder = std::make_shared<JpegDecoder>()](int64_t i) {
        const Image image = decoder->decode(files[static_cast<size_t>(i) % files.size()], "face.jpg");
        return crop_and_resize(image, Crop::kDdim, Filter::kBilinear, 64);
      };
    });
    for (int64_t i = 0; i < kImages; ++i) benchmark::DoNotOptimize(workers.next().pixels.data());
  }
  count_images(state, kImages);
}
BENCHMARK(pipeline)->UseRealTime()->Unit(benchmark::kMillisecond);

// The same from CelebA's archive: `ddpm_data prepare` without writing.
void celeba_archive(benchmark::State& state) {
  const char* data = std::getenv("DDPM_TEST_DATA");
  if (data == nullptr) {
    state.SkipWithError("DDPM_TEST_DATA names no folder with celeba/img_align_celeba.zip");
    return;
  }
  const auto source =
      open_celeba({.images = std::filesystem::path(data) / "celeba" / "img_align_celeba.zip"});
  PrepareOptions options;
  options.crop = Crop::kDdim;
  options.limit = 5000;
  const int64_t images = std::min(options.limit, source->count());
  for (auto _ : state) benchmark::DoNotOptimize(prepare_in_memory(*source, options).pixels());
  count_images(state, images);
}
BENCHMARK(celeba_archive)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
