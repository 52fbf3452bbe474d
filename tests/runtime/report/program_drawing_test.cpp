// Drawings of programs: well-formed SVG that shows everything once without overlaps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "model/training/training_program.h"
#include "model/unet/presets.h"
#include "runtime/report/graph_drawing.h"
#include "runtime/report/memory_drawing.h"
#include "tests/xml.h"

namespace ddpm {
namespace {

using ::testing::HasSubstr;

Program training(const UnetConfig& network) { return training_program(network, 2).program; }

MemoryPlan plan_of(const Program& program) { return plan_memory(program, {.compute = 4, .master = 4}); }

// Pixels have two decimals, so that neighbors may seem to overlap by one unit in the last.
constexpr double kRounding = 0.011;

bool overlap(const XmlElement& a, const XmlElement& b) {
  const auto meet = [&](const char* from, const char* extent) {
    return a.number(from) + a.number(extent) > b.number(from) + kRounding &&
           b.number(from) + b.number(extent) > a.number(from) + kRounding;
  };
  return meet("x", "width") && meet("y", "height");
}

void expect_apart(const std::vector<XmlElement>& boxes) {
  ASSERT_GT(boxes.size(), 1u);
  for (size_t i = 0; i < boxes.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      EXPECT_FALSE(overlap(boxes[i], boxes[j])) << boxes[i].text << " and " << boxes[j].text;
}

void expect_within_picture(const std::vector<XmlElement>& boxes, const XmlElement& picture) {
  ASSERT_FALSE(boxes.empty());
  for (const XmlElement& box : boxes) {
    EXPECT_GE(box.number("x"), 0) << box.text;
    EXPECT_GE(box.number("y"), 0) << box.text;
    EXPECT_LE(box.number("x") + box.number("width"), picture.number("width")) << box.text;
    EXPECT_LE(box.number("y") + box.number("height"), picture.number("height")) << box.text;
  }
}

class Drawings : public ::testing::TestWithParam<std::string_view> {
 protected:
  UnetConfig network_ = find_preset(GetParam()).network;
  Program program_ = training(network_);
  MemoryPlan plan_ = plan_of(program_);
};

TEST_P(Drawings, MemoryBlocksHoldEveryActivationOnce) {
  std::map<BufferId, int> seen;
  int in_place = 0;
  for (const MemoryBlock& block : memory_blocks(plan_)) {
    for (const BufferId id : block.buffers) ++seen[id];
    in_place += static_cast<int>(block.buffers.size()) - 1;
  }
  ASSERT_FALSE(seen.empty());
  EXPECT_EQ(in_place, plan_.shared_in_place);
  for (size_t i = 0; i < plan_.placements.size(); ++i)
    EXPECT_EQ(seen[static_cast<BufferId>(i)], plan_.placements[i].offset >= 0 ? 1 : 0)
        << program_.buffers()[i].name;
}

TEST_P(Drawings, MemoryBlocksNeverCollide) {
  const std::vector<MemoryBlock> blocks = memory_blocks(plan_);
  ASSERT_GT(blocks.size(), 1u);
  for (size_t i = 0; i < blocks.size(); ++i)
    for (size_t j = 0; j < i; ++j) {
      const MemoryBlock &a = blocks[i], &b = blocks[j];
      const bool same_time = a.first <= b.last && b.first <= a.last;
      const bool same_place = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
      EXPECT_FALSE(same_time && same_place) << i << " and " << j;
    }
}

TEST_P(Drawings, MemoryPlanIsDrawnBlockByBlock) {
  const std::vector<XmlElement> all = parse_xml(memory_plan_svg(program_, plan_, "plan"));
  const std::vector<XmlElement> drawn = elements_of_class(all, "activation");
  EXPECT_EQ(drawn.size(), memory_blocks(plan_).size());
  expect_apart(drawn);
  expect_within_picture(drawn, all[0]);
}

TEST_P(Drawings, BlocksHoldEveryForwardOperationAndParameterOnce) {
  std::map<size_t, int> seen;
  std::map<std::string, int> names;
  int64_t parameters = 0;
  for (const NetworkBlock& block : network_blocks(program_)) {
    ++names[block.name];
    parameters += block.parameters;
    for (const size_t operation : block.operations) ++seen[operation];
  }
  EXPECT_EQ(parameters, program_.parameter_count());
  for (size_t i = 0; i < program_.operations().size(); ++i)
    EXPECT_EQ(seen[i], program_.operations()[i].phase == Phase::kForward ? 1 : 0);
  for (const auto& [name, count] : names) EXPECT_EQ(count, 1) << name;
  for (const char* name : {"diffuse", "time_embedding", "conv_in", "down_blocks.0.resnets.0",
                           "mid_block.resnets.1", "up_blocks.0.upsamplers.0", "conv_out", "loss"})
    EXPECT_EQ(names[name], 1) << name;
}

TEST_P(Drawings, GraphShowsEveryBlockAndSkipConnectionOnce) {
  const std::vector<XmlElement> all = parse_xml(graph_svg(program_, "graph"));
  const std::vector<XmlElement> boxes = elements_of_class(all, "block");
  EXPECT_EQ(boxes.size(), network_blocks(program_).size());
  expect_apart(boxes);
  expect_within_picture(boxes, all[0]);
  // Skip connections start at the first convolution, every residual block on the way down
  // and every downsampler.
  const int skips = 1 + network_.levels() * network_.layers_per_block + network_.levels() - 1;
  EXPECT_EQ(elements_of_class(all, "skip").size(), static_cast<size_t>(skips));
}

TEST_P(Drawings, GraphHasABandPerResolution) {
  const std::string svg = graph_svg(program_, "graph");
  for (int level = 0; level < network_.levels(); ++level) {
    const int size = network_.image_size >> level;
    EXPECT_THAT(svg, HasSubstr(">" + std::to_string(size) + "×" + std::to_string(size) + "<"));
  }
}

INSTANTIATE_TEST_SUITE_P(Presets, Drawings,
                         ::testing::Values("ddpm-cifar10-32", "ddim-celeba-64", "ddpm-celebahq-256",
                                           "tiny-32", "demo"),
                         [](const auto& tested) {
                           std::string name(tested.param);
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(MemoryDrawing, ChainIsOneBlock) {
  // b = a + c shares the memory of a, and d = b + c that of b.
  Program program;
  const BufferId input = program.add_buffer("input", {256}, Role::kState);
  const BufferId a = program.add_buffer("a", {256}), b = program.add_buffer("b", {256});
  const BufferId c = program.add_buffer("c", {256}), d = program.add_buffer("d", {256});
  const auto add = [&](const char* name, BufferId left, BufferId right, BufferId sum) {
    program.add(name, Phase::kForward, Add{.count = 256, .a = left, .b = right, .y = sum});
  };
  add("a", input, input, a);
  add("c", input, input, c);
  add("b", a, c, b);
  add("d", b, c, d);
  const MemoryPlan plan = plan_of(program);
  const std::vector<MemoryBlock> blocks = memory_blocks(plan);
  ASSERT_EQ(plan.shared_in_place, 2);  // b from a, d from b
  ASSERT_EQ(blocks.size(), 2u);
  const auto chain =
      std::find_if(blocks.begin(), blocks.end(), [](const auto& block) { return block.buffers.size() == 3; });
  ASSERT_NE(chain, blocks.end());
  EXPECT_EQ(chain->buffers, (std::vector<BufferId>{a, b, d}));
  EXPECT_EQ(chain->first, 0);
  EXPECT_EQ(chain->last, 3);
}

TEST(ProgramDrawing, DrawsEmptyProgramsAndEscapesTitles) {
  const Program program;
  const std::string title = "a < b & \"c\" > d";
  for (const std::string& svg :
       {memory_plan_svg(program, plan_of(program), title), graph_svg(program, title)}) {
    const std::vector<XmlElement> all = parse_xml(svg);
    EXPECT_TRUE(std::any_of(all.begin(), all.end(),
                            [&](const XmlElement& element) { return element.text == title; }));
  }
}

TEST(GraphDrawing, FindsSourcesFromTheOperands) {
  const std::vector<NetworkBlock> blocks = network_blocks(training(find_preset("tiny-32").network));
  const auto find = [&](const std::string& name) {
    return std::find_if(blocks.begin(), blocks.end(), [&](const auto& block) { return block.name == name; });
  };
  const auto names = [&](const std::vector<size_t>& sources) {
    std::vector<std::string> list;
    list.reserve(sources.size());
    for (const size_t source : sources) list.push_back(blocks[source].name);
    return list;
  };
  using Names = std::vector<std::string>;
  const NetworkBlock& up = *find("up_blocks.0.resnets.0");
  EXPECT_EQ(names(up.sources), (Names{"time_emb_proj", "down_blocks.2.resnets.1", "mid_block.resnets.1"}));
  EXPECT_EQ(names(up.image_sources), (Names{"down_blocks.2.resnets.1", "mid_block.resnets.1"}));
  EXPECT_EQ(names(find("down_blocks.1.attentions.0")->sources), (Names{"down_blocks.1.resnets.0"}));
  EXPECT_EQ(names(find("time_proj")->sources), (Names{"diffuse"}));
  EXPECT_EQ(names(find("time_proj")->image_sources), Names{});
}

TEST(Xml, RefusesMalformedXml) {  // the tests above rely on it
  for (const char* bad :
       {"<a>", "<a></b>", "<a x=\"1\" x=\"2\"/>", "<a>&</a>", "<a x=\"<\"/>", "<a/><b/>", ""})
    EXPECT_THROW(parse_xml(bad), std::runtime_error) << bad;
  EXPECT_EQ(parse_xml("<a x=\"&lt;\"><b>c</b></a>").at(0).text, "c");
}

}  // namespace
}  // namespace ddpm
