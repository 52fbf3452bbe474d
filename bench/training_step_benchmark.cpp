// One training step of tiny-32 at batch 16 on the CPU.
#include <benchmark/benchmark.h>

#include <vector>

#include "data/dataset.h"
#include "model/training/trainer.h"

namespace ddpm {
namespace {

constexpr int kBatch = 16;

// The content of the pixels does not affect the time.
Dataset grey_images(int count, int size) {
  DatasetCard card;
  card.source = "grey";
  card.count = count;
  card.height = card.width = size;
  card.channels = 3;
  return Dataset::from_pixels(std::vector<uint8_t>(static_cast<size_t>(count) * size * size * 3, 128), card);
}

void training_step(benchmark::State& state) {
  const TrainConfig config =
      make_train_config({{"preset", "tiny-32"}, {"batch", std::to_string(kBatch)}, {"device", "cpu"}});
  const Dataset dataset = grey_images(kBatch, config.network.image_size);
  Trainer trainer(config, dataset);
  trainer.initialize();
  TrainingMetrics metrics;
  trainer.train_step(metrics);  // the first step compiles oneDNN's primitives
  for (auto _ : state) trainer.train_step(metrics);

  Cost cost;
  for (const Operation& operation : trainer.executor().program().operations())
    cost.flops += ddpm::cost(operation.operation, sizeof(float)).flops;
  state.SetItemsProcessed(state.iterations() * kBatch);
  state.counters["GFLOP/s"] =
      benchmark::Counter(cost.flops * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}
BENCHMARK(training_step)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
}  // namespace ddpm

BENCHMARK_MAIN();
