// Benchmarks the convolutions and GEMMs of a training step in bf16, each with the plan that the autotuner
// chooses, against the peak of a large GEMM and the copy bandwidth measured in the same run. Its twin
// library_benchmark_emulated runs the same code with plain loops; its times mean nothing.
//
//   ops/PRESET/BATCH/LAYER/ROLE            a library op; counter `count`: calls per step
//   choices/PRESET/BATCH/LAYER/ROLE/FORM   a layer that has two forms, with our kernels around it: 1x1
//                                          convolutions as `gemm` (the engine's choice) or `convolution`;
//                                          convolutions after upsampling as `folded` or `nearest`
//
// The label has the layer's shape and the problem. scripts/benchmark_table.py makes tables of the JSON.
#include <fmt/format.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "apps/app.h"
#include "apps/command_line.h"
#include "bench/kernels/gpu_benchmark.h"
#include "bench/library/measured_library.h"
#include "bench/library/step_library_ops.h"
#include "kernels/cuda/kernels.h"
#include "model/training/training_program.h"
#include "model/unet/presets.h"
#include "runtime/library/lowering.h"

namespace ddpm {
namespace {

struct CommandLine {
  std::vector<std::string> networks = {"ddpm-cifar10-32:128", "ddim-celeba-64:128", "ddpm-celebahq-256:16"};
  bool list = false;
};

struct Network {
  std::string name;  // "PRESET/BATCH"
  Program program;
};

// "PRESET:BATCH"
Network make_network(const std::string& text) {
  const size_t colon = text.find(':');
  const std::string digits = colon == std::string::npos ? "" : text.substr(colon + 1);
  if (digits.empty() || digits.size() > 5 || digits.find_first_not_of("0123456789") != std::string::npos)
    throw_input("--network {}: give PRESET:BATCH, such as ddim-celeba-64:128", text);
  const std::string preset = text.substr(0, colon);
  return {fmt::format("{}/{}", preset, digits),
          training_program(find_preset(preset).network, std::stoi(digits)).program};
}

std::string text_of(const LibraryProblem& problem) {
  return std::visit([](const auto& p) { return to_string(p); }, problem);
}

void print_list(const Network& network) {
  for (const StepLibraryOp& p : step_library_ops(network.program))
    fmt::print("{:<20} {:>3} x {:<66} {:<50} {}\n", network.name, p.count, p.name, p.shape,
               text_of(p.problem));
}

DeviceBuffer<BFloat16> random_tensor(int64_t bytes) {
  return random_buffer<BFloat16>(bytes / static_cast<int64_t>(sizeof(BFloat16)));
}

using T = BFloat16;

// Measures library ops. Plans come from the user's plan cache, or are measured and stored there.
class LibraryBench {
 public:
  LibraryBench() : library_(measured_library()) {}

  // FLOP/s of a bf16 GEMM of large square matrices.
  double peak() {
    const int64_t side = measured_sizes().peak_side;
    const GemmOperand square{.leading_dimension = side};
    const GemmProblem problem{.m = side, .n = side, .k = side, .a = square, .b = square, .d = square};
    const auto a = random_buffer<T>(side * side), b = random_buffer<T>(side * side);
    const DeviceBuffer<T> c(static_cast<size_t>(side * side));
    const Stream stream;
    library_->prepare({.convolutions = {}, .gemms = {problem}}, stream);
    return cost(problem).flops / GpuBenchmark::median_seconds(
                                     library_->bind(problem, {.a = a.data(), .b = b.data(), .d = c.data()}));
  }
  void set_peak(double flops_per_second) { peak_ = flops_per_second; }

  void run(benchmark::State& state, const StepLibraryOp& op) {
    std::visit([&](const auto& problem) { run_problem(state, problem); }, op.problem);
    state.counters["count"] = op.count;
  }

  // Measures the launches of one operation on these buffers.
  void run(benchmark::State& state, const Cost& cost, const LaunchList<T>& list,
           const std::map<BufferId, void*>& buffers) {
    if (!prepare(state, list.problems())) return;
    const DeviceBuffer<std::byte> scratch(list.scratch_bytes);
    const BoundOperations bound = bind(list, 1, Addresses<T>(buffers, scratch.data()), *library_);
    measure(state, cost, [&](StreamView stream) {
      for (const LaunchFunction& launch : bound.front()) launch(stream);
    });
  }

 private:
  // Returns false, and marks the benchmark as failed, if a problem has no plan; the others still run.
  bool prepare(benchmark::State& state, const LibraryProblems& problems) {
    try {
      const Stream stream;
      library_->prepare(problems, stream);
      return true;
    } catch (const std::exception& error) {
      state.SkipWithError(error.what());
      return false;
    }
  }

  template <typename Function>
  void measure(benchmark::State& state, const Cost& cost, const Function& launch) {
    GpuBenchmark::run(state, cost, launch);
    state.counters["share_of_peak"] =
        benchmark::Counter(cost.flops / peak_, benchmark::Counter::kIsIterationInvariantRate);
  }

  template <typename Problem>
  void run_problem(benchmark::State& state, const Problem& problem) {
    const auto bytes = tensor_bytes(problem);
    const auto first = random_tensor(bytes[0]), second = random_tensor(bytes[1]),
               third = random_tensor(bytes[2]);
    if constexpr (std::is_same_v<Problem, ConvolutionProblem>) {
      if (!prepare(state, {.convolutions = {problem}, .gemms = {}})) return;
      measure(state, cost(problem),
              library_->bind(problem, {.x = first.data(), .w = second.data(), .y = third.data()}));
    } else {
      if (!prepare(state, {.convolutions = {}, .gemms = {problem}})) return;
      measure(state, cost(problem),
              library_->bind(problem,
                             {.a = first.data(), .b = second.data(), .c = third.data(), .d = third.data()}));
    }
  }

  std::unique_ptr<VendorLibrary> library_;
  double peak_ = 0;
};

// ---- Choices: a pass of a layer, without bias and residual, which are the same in both forms.

enum Id : BufferId { kX, kWeight, kY, kDWeight };

struct LayerTensors {
  LayerTensors(int64_t x_elements, int64_t weight_elements, int64_t y_elements)
      : x(random_buffer<T>(x_elements)),
        y(random_buffer<T>(y_elements)),
        weight(random_buffer<T>(weight_elements)),
        dweight(random_buffer<float>(weight_elements)) {}
  DeviceBuffer<T> x, y, weight;
  DeviceBuffer<float> dweight;

  std::map<BufferId, void*> buffers() const {
    return {{kX, x.data()}, {kWeight, weight.data()}, {kY, y.data()}, {kDWeight, dweight.data()}};
  }
};

LayerTensors tensors_of(const Conv2dShape& s) {
  return {s.x_elements(), s.weight_elements(), s.y_elements()};
}
LayerTensors tensors_of(const UpsampleConv2dShape& s) {
  const Conv2dShape larger = s.upsampled();
  return {larger.x_elements() / 4, larger.weight_elements(), larger.y_elements()};
}

LaunchList<T> lowered(const AnyOperation& pass, UpsampleForm form = UpsampleForm::kAuto) {
  Program program;
  for (const char* name : {"x", "weight", "y", "dweight"}) program.add_buffer(name, {1}, Role::kState);
  program.add("layer", Phase::kForward, pass);
  return lower<T>(program, plan_memory(program, {}), UpsampleForms(form));
}

LaunchList<T> gemm_form(LibraryOpRole role, const Conv2dShape& s) {
  if (role == LibraryOpRole::kForward)
    return lowered(Conv2d{.shape = s, .x = kX, .weight = kWeight, .y = kY});
  if (role == LibraryOpRole::kDataGradient)
    return lowered(Conv2dBackwardData{.shape = s, .dy = kY, .weight = kWeight, .dx = kX});
  return lowered(Conv2dBackwardWeight{.shape = s, .x = kX, .dy = kY, .dweight = kDWeight});
}

LaunchList<T> convolution_form(LibraryOpRole role, const Conv2dShape& s) {
  constexpr ConvolutionDirection kDirections[] = {ConvolutionDirection::kForward,
                                                  ConvolutionDirection::kBackwardData,
                                                  ConvolutionDirection::kBackwardWeight};
  const auto place = [](BufferId id) { return Place{.buffer = id, .type = ElementType::kBfloat16}; };
  ConvolutionLaunch call{.problem = {.shape = s, .direction = kDirections[static_cast<int>(role)]},
                         .x = place(kX),
                         .w = place(kWeight),
                         .y = place(kY)};
  LaunchList<T> list;
  if (role == LibraryOpRole::kWeightGradient) {
    // The library has no bf16 convolution that adds to a float gradient.
    call.w = {.scratch = 0, .type = ElementType::kBfloat16};
    list.scratch_bytes = static_cast<size_t>(s.weight_elements()) * sizeof(T);
    list.launches.push_back({0, call});
    list.launches.push_back({0, KernelLaunch<T>{[=](const Addresses<T>& at, StreamView stream) {
                               cuda::accumulate<T>(s.weight_elements(), at.of<T>(call.w),
                                                   at.of<float>({.buffer = kDWeight}), stream);
                             }}});
  } else {
    list.launches.push_back({0, call});
  }
  return list;
}

LaunchList<T> upsample_form(UpsampleForm form, LibraryOpRole role, const UpsampleConv2dShape& s) {
  if (role == LibraryOpRole::kForward)
    return lowered(UpsampleConv2d{.shape = s, .x = kX, .weight = kWeight, .y = kY}, form);
  if (role == LibraryOpRole::kDataGradient)
    return lowered(UpsampleConv2dBackwardData{.shape = s, .dy = kY, .weight = kWeight, .dx = kX}, form);
  return lowered(UpsampleConv2dBackwardWeight{.shape = s, .x = kX, .dy = kY, .dweight = kDWeight}, form);
}

using Form = std::pair<const char*, LaunchList<T>>;

std::vector<Form> forms_of(LibraryOpRole role, const Conv2dShape& s) {
  return {{"gemm", gemm_form(role, s)}, {"convolution", convolution_form(role, s)}};
}

std::vector<Form> forms_of(LibraryOpRole role, const UpsampleConv2dShape& s) {
  return {{"folded", upsample_form(UpsampleForm::kFolded, role, s)},
          {"nearest", upsample_form(UpsampleForm::kNearest, role, s)}};
}

// ---- Registration

void register_ops(LibraryBench& bench, const Network& network) {
  for (const StepLibraryOp& op : step_library_ops(network.program))
    GpuBenchmark::settings(benchmark::RegisterBenchmark(
        fmt::format("ops/{}/{}", network.name, op.name).c_str(), [&bench, op](benchmark::State& state) {
          bench.run(state, op);
          state.SetLabel(fmt::format("{} | {}", op.shape, text_of(op.problem)));
        }));
}

template <typename Shape>
void register_choice(LibraryBench& bench, const Network& network, const StepChoice& choice,
                     const Shape& shape) {
  for (const Form& form : forms_of(choice.role, shape))
    GpuBenchmark::settings(benchmark::RegisterBenchmark(
        fmt::format("choices/{}/{}/{}", network.name, choice.name, form.first).c_str(),
        [&bench, shape, count = choice.count, list = form.second](benchmark::State& state) {
          const LayerTensors tensors = tensors_of(shape);
          // The rates of both forms count the FLOPs of the literal one.
          bench.run(state, ddpm::cost(shape, sizeof(T)), list, tensors.buffers());
          state.counters["count"] = count;
          state.SetLabel(layer_shape(shape));
        }));
}

int run(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);  // takes its own flags out
  CLI::App app(
      "Times the convolutions and GEMMs of a training step on a GPU; flags --benchmark_* are Google Benchmark's",
      "library_benchmark");
  CommandLine command;
  app.add_option("--network", command.networks, "PRESET:BATCH, several times")->capture_default_str();
  app.add_flag("--list", command.list, "Print them and exit; needs no GPU");
  if (const auto code = parse_command_line(app, argc, argv)) return *code;
  std::vector<Network> networks;
  for (const std::string& text : command.networks) networks.push_back(make_network(text));
  if (command.list) {
    for (const Network& network : networks) print_list(network);
    return 0;
  }
  if (!find_gpu()) return 0;
  LibraryBench bench;
  for (const Network& network : networks) {
    register_ops(bench, network);
    for (const StepChoice& choice : step_choices(network.program))
      std::visit([&](const auto& shape) { register_choice(bench, network, choice, shape); }, choice.shape);
  }
  const double peak = bench.peak();
  bench.set_peak(peak);
  benchmark::AddCustomContext("bf16_flops_per_second", std::to_string(peak));
  benchmark::AddCustomContext("bf16_matrix_side", std::to_string(measured_sizes().peak_side));
  run_gpu_benchmarks();
  return 0;
}

}  // namespace
}  // namespace ddpm

int main(int argc, char** argv) {
  return ddpm::run_app("library_benchmark", [&] { return ddpm::run(argc, argv); });
}
