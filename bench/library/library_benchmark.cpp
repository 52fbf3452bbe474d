// The convolutions and matrix products of a training step in bf16, each with the plan that the engine chooses
// by measurement, against the peak of a large product and the copy bandwidth measured in the same run (its
// twin products_benchmark_emulated goes through the same with plain loops, and its times mean nothing):
//
//   products/PRESET/BATCH/LAYER/ROLE      a library's product; counter `count`: how often a step asks for it
//   choices/PRESET/BATCH/LAYER/ROLE/FORM  what can be computed in two ways, our own kernels around it
//   included:
//                                         1x1 convolutions as `matrix` product (the engine's way) or by the
//                                         library's `convolution`; convolutions after upsampling `folded`
//                                         (the engine's way) or `nearest`
//
// The label tells the layer's shape and the problem. scripts/benchmark_table.py makes tables of the JSON.
#include <fmt/format.h>

#include <functional>
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
#include "model/training/training_program.h"
#include "model/unet/presets.h"
#include "runtime/library/lower_layers.h"

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
          training_program({.network = find_preset(preset).network, .batch = std::stoi(digits)}).program};
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

// Measures what layers are made of. Plans come from the engine's cache, or are measured and kept there.
class LibraryBench {
 public:
  LibraryBench() : primitives_(measured_primitives()) {}

  // Operations a second of a bf16 product of large square matrices.
  double peak() {
    const int64_t side = measured_sizes().peak_side;
    const GemmOperand square{.leading_dimension = side};
    const GemmProblem problem{.m = side, .n = side, .k = side, .a = square, .b = square, .d = square};
    const auto a = random_buffer<BFloat16>(side * side), b = random_buffer<BFloat16>(side * side);
    const DeviceBuffer<BFloat16> c(static_cast<size_t>(side * side));
    const Stream stream;
    primitives_->prepare({.convolutions = {}, .matrices = {problem}}, stream);
    return cost(problem).flops / GpuBenchmark::median_seconds([&](StreamView on) {
             primitives_->gemm(problem, {.a = a.data(), .b = b.data(), .d = c.data()}, on);
           });
  }
  void set_peak(double flops_per_second) { peak_ = flops_per_second; }

  void run(benchmark::State& state, const StepLibraryOp& product) {
    std::visit([&](const auto& problem) { run_problem(state, problem); }, product.problem);
    state.counters["count"] = product.count;
  }

  // layer(steps) goes through the layer's steps; it is called to survey them too.
  template <typename Layer>
  void run_layer(benchmark::State& state, const Cost& cost, const Layer& layer) {
    ProductSurvey survey;
    layer(survey);
    survey.next_layer();
    try {
      const Stream stream;
      primitives_->prepare(survey.problems(), stream);
    } catch (const std::exception& error) {  // no plan: the others are measured all the same
      return state.SkipWithError(error.what());
    }
    const DeviceBuffer<std::byte> scratch(survey.problems().scratch_bytes);
    GpuBenchmark::run(state, cost, [&](StreamView stream) {
      ProductRun steps(*primitives_, scratch.span(), stream);
      layer(steps);
    });
    state.counters["share_of_peak"] =
        benchmark::Counter(cost.flops / peak_, benchmark::Counter::kIsIterationInvariantRate);
  }

 private:
  template <typename Problem>
  void run_problem(benchmark::State& state, const Problem& problem) {
    const auto bytes = tensor_bytes(problem);
    const auto first = random_tensor(bytes[0]), second = random_tensor(bytes[1]),
               third = random_tensor(bytes[2]);
    run_layer(state, cost(problem), [&](ProductSteps& steps) {
      if constexpr (std::is_same_v<Problem, ConvolutionProblem>)
        steps.convolution(problem, {.x = first.data(), .w = second.data(), .y = third.data()});
      else
        steps.gemm(problem, {.a = first.data(), .b = second.data(), .c = third.data(), .d = third.data()});
    });
  }

  std::unique_ptr<VendorLibrary> primitives_;
  double peak_ = 0;
};

// ---- Choices: a layer's tensors, and its pass without bias and residual, which are the same in both forms.

struct LayerTensors {
  LayerTensors(int64_t x_elements, int64_t weight_elements, int64_t y_elements)
      : x(random_buffer<BFloat16>(x_elements)),
        y(random_buffer<BFloat16>(y_elements)),
        weight(random_buffer<BFloat16>(weight_elements)),
        dweight(random_buffer<float>(weight_elements)) {}
  DeviceBuffer<BFloat16> x, y, weight;
  DeviceBuffer<float> dweight;

  Conv2dArgs<BFloat16> forward() const {
    return {.x = x.data(), .weight = weight.data(), .bias = nullptr, .residual = nullptr, .y = y.data()};
  }
  Conv2dBackwardDataArgs<BFloat16> data_gradient() const {
    return {.dy = y.data(), .weight = weight.data(), .residual = nullptr, .dx = x.data()};
  }
  Conv2dBackwardWeightArgs<BFloat16, float> weight_gradient() const {
    return {.x = x.data(), .dy = y.data(), .dweight = dweight.data(), .dbias = nullptr};
  }
};

LayerTensors tensors_of(const Conv2dShape& s) {
  return {s.x_elements(), s.weight_elements(), s.y_elements()};
}
LayerTensors tensors_of(const UpsampleConv2dShape& s) {
  const Conv2dShape larger = s.upsampled();
  return {larger.x_elements() / 4, larger.weight_elements(), larger.y_elements()};
}

void matrix_form(ProductSteps& steps, LibraryOpRole role, const Conv2dShape& s, const LayerTensors& t) {
  if (role == LibraryOpRole::kForward) return composed::conv2d(steps, s, t.forward());
  if (role == LibraryOpRole::kDataGradient)
    return composed::conv2d_backward_data(steps, s, t.data_gradient());
  composed::conv2d_backward_weight(steps, s, t.weight_gradient());
}

void convolution_form(ProductSteps& steps, LibraryOpRole role, const Conv2dShape& s, const LayerTensors& t) {
  constexpr ConvolutionDirection kDirections[] = {ConvolutionDirection::kForward,
                                                  ConvolutionDirection::kBackwardData,
                                                  ConvolutionDirection::kBackwardWeight};
  const ConvolutionProblem problem{.shape = s, .direction = kDirections[static_cast<int>(role)]};
  if (role != LibraryOpRole::kWeightGradient)
    return steps.convolution(problem, {.x = t.x.data(), .w = t.weight.data(), .y = t.y.data()});
  // The library has no bf16 convolution that adds to a float gradient.
  auto* dweight = steps.scratch<BFloat16>(s.weight_elements());
  steps.convolution(problem, {.x = t.x.data(), .w = dweight, .y = t.y.data()});
  steps.kernel(0, [&](StreamView stream) {
    cuda::accumulate(s.weight_elements(), dweight, t.dweight.data(), stream);
  });
}

void upsample_form(ProductSteps& steps, UpsampleForm form, LibraryOpRole role, const UpsampleConv2dShape& s,
                   const LayerTensors& t) {
  if (role == LibraryOpRole::kForward) return composed::upsample_conv2d(steps, form, s, t.forward());
  if (role == LibraryOpRole::kDataGradient)
    return composed::upsample_conv2d_backward_data(steps, form, s, t.data_gradient());
  composed::upsample_conv2d_backward_weight(steps, form, s, t.weight_gradient());
}

using Form = std::pair<const char*, std::function<void(ProductSteps&, const LayerTensors&)>>;

std::vector<Form> forms_of(LibraryOpRole role, const Conv2dShape& s) {
  return {{"matrix", [=](ProductSteps& steps, const LayerTensors& t) { matrix_form(steps, role, s, t); }},
          {"convolution",
           [=](ProductSteps& steps, const LayerTensors& t) { convolution_form(steps, role, s, t); }}};
}

std::vector<Form> forms_of(LibraryOpRole role, const UpsampleConv2dShape& s) {
  const auto in_form = [=](UpsampleForm form) {
    return [=](ProductSteps& steps, const LayerTensors& t) { upsample_form(steps, form, role, s, t); };
  };
  return {{"folded", in_form(UpsampleForm::kFolded)}, {"nearest", in_form(UpsampleForm::kNearest)}};
}

// ---- Registration

void register_products(LibraryBench& bench, const Network& network) {
  for (const StepLibraryOp& product : step_library_ops(network.program))
    GpuBenchmark::settings(benchmark::RegisterBenchmark(
        fmt::format("products/{}/{}", network.name, product.name).c_str(),
        [&bench, product](benchmark::State& state) {
          bench.run(state, product);
          state.SetLabel(fmt::format("{} | {}", product.shape, text_of(product.problem)));
        }));
}

template <typename Shape>
void register_choice(LibraryBench& bench, const Network& network, const StepChoice& choice,
                     const Shape& shape) {
  for (const Form& form : forms_of(choice.role, shape))
    GpuBenchmark::settings(benchmark::RegisterBenchmark(
        fmt::format("choices/{}/{}/{}", network.name, choice.name, form.first).c_str(),
        [&bench, shape, count = choice.count, layer = form.second](benchmark::State& state) {
          const LayerTensors tensors = tensors_of(shape);
          // Both forms are held against the operations of the literal one.
          bench.run_layer(state, ddpm::cost(shape, sizeof(BFloat16)),
                          [&](ProductSteps& steps) { layer(steps, tensors); });
          state.counters["count"] = count;
          state.SetLabel(layer_shape(shape));
        }));
}

int run(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);  // takes its own flags out
  CLI::App app("Times the products of a training step on a GPU; flags --benchmark_* are Google Benchmark's",
               "products_benchmark");
  CommandLine command;
  app.add_option("--network", command.networks, "PRESET:BATCH, several times")->capture_default_str();
  app.add_flag("--list", command.list, "Print the products and end; needs no GPU");
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
    register_products(bench, network);
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
  return ddpm::run_app("products_benchmark", [&] { return ddpm::run(argc, argv); });
}
