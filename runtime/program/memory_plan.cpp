#include "runtime/program/memory_plan.h"

#include <algorithm>
#include <numeric>

#include "support/error.h"

namespace ddpm {
namespace {

// cudaMalloc's alignment, and a multiple of every vector width and cache line in use.
constexpr int64_t kAlignment = 256;

int64_t align(int64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

// A piece of memory: one buffer, or a chain of buffers that take it over from each other in place.
struct Block {
  int64_t bytes = 0;
  int first = 0;
  int last = 0;
  int64_t offset = -1;

  bool lives_with(const Block& other) const { return first <= other.last && other.first <= last; }
};

class Planner {
 public:
  Planner(const Program& program, const ElementSizes& sizes) : program_(program) {
    const size_t count = program.buffers().size();
    plan_.placements.resize(count);
    block_of_.assign(count, -1);
    for (size_t i = 0; i < count; ++i) {
      const Buffer& buffer = program.buffers()[i];
      plan_.placements[i].bytes = element_count(buffer.shape) * sizes.bytes(buffer.dtype);
    }
  }

  MemoryPlan plan() {
    find_lives();
    make_blocks();
    place_blocks();
    report();
    return plan_;
  }

 private:
  bool is_planned(BufferId id) const { return program_.buffer(id).role == Role::kActivation; }
  Phase phase_of(int index) const { return program_.operations()[static_cast<size_t>(index)].phase; }
  Placement& placement(BufferId id) { return plan_.placements[static_cast<size_t>(id)]; }
  int& block_of(BufferId id) { return block_of_[static_cast<size_t>(id)]; }

  void find_lives() {
    for (size_t index = 0; index < program_.operations().size(); ++index)
      for (const Operand& operand : operands(program_.operations()[index].operation)) {
        if (!is_planned(operand.buffer)) continue;
        Placement& life = placement(operand.buffer);
        if (life.first < 0) {
          // Read before it is written: the buffer would have to be a state or an input.
          DDPM_CHECK(operand.access != Access::kRead);
          life.first = static_cast<int>(index);
        }
        // Later steps reuse the start phase's memory: a buffer that they need would have to be a state.
        DDPM_CHECK(phase_of(life.first) != Phase::kStart ||
                   phase_of(static_cast<int>(index)) == Phase::kStart);
        life.last = static_cast<int>(index);
      }
  }

  // Whether `written` takes over the memory of the operand that it may share with. That operand's lifetime
  // must end here, and it must not appear twice among the operation's operands.
  bool takes_over(const Operand& written, const Operands& all, int index) {
    const BufferId source = written.may_share;
    if (source == kNoBuffer || !is_planned(source) || placement(source).last != index) return false;
    if (placement(source).bytes != placement(written.buffer).bytes) return false;
    return std::count_if(all.begin(), all.end(),
                         [&](const Operand& operand) { return operand.buffer == source; }) == 1;
  }

  void make_blocks() {
    for (size_t position = 0; position < program_.operations().size(); ++position) {
      const int index = static_cast<int>(position);
      const Operands all = operands(program_.operations()[position].operation);
      for (const Operand& operand : all) {
        if (!is_planned(operand.buffer) || block_of(operand.buffer) >= 0) continue;
        const Placement& life = placement(operand.buffer);
        if (takes_over(operand, all, index)) {
          block_of(operand.buffer) = block_of(operand.may_share);
          blocks_[static_cast<size_t>(block_of(operand.buffer))].last = life.last;
          ++plan_.shared_in_place;
        } else {
          block_of(operand.buffer) = static_cast<int>(blocks_.size());
          blocks_.push_back({.bytes = align(life.bytes), .first = life.first, .last = life.last});
        }
      }
    }
  }

  void place_blocks() {
    std::vector<size_t> order(blocks_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [this](size_t a, size_t b) { return blocks_[a].bytes > blocks_[b].bytes; });
    std::vector<const Block*> placed;  // by offset
    for (const size_t index : order) {
      Block& block = blocks_[index];
      block.offset = 0;
      for (const Block* other : placed) {
        if (!block.lives_with(*other)) continue;
        if (block.offset + block.bytes <= other->offset) break;
        block.offset = std::max(block.offset, other->offset + other->bytes);
      }
      placed.insert(std::upper_bound(placed.begin(), placed.end(), &block,
                                     [](const Block* a, const Block* b) { return a->offset < b->offset; }),
                    &block);
    }
  }

  void report() {
    std::vector<int64_t> alive(program_.operations().size(), 0);
    for (const Block& block : blocks_) {
      plan_.arena_bytes = std::max(plan_.arena_bytes, block.offset + block.bytes);
      for (int index = block.first; index <= block.last; ++index)
        alive[static_cast<size_t>(index)] += block.bytes;
    }
    if (!alive.empty()) plan_.lower_bound = *std::max_element(alive.begin(), alive.end());
    for (size_t i = 0; i < block_of_.size(); ++i) {
      if (block_of_[i] < 0) continue;
      plan_.placements[i].offset = blocks_[static_cast<size_t>(block_of_[i])].offset;
      plan_.bytes_without_reuse += align(plan_.placements[i].bytes);
    }
  }

  const Program& program_;
  MemoryPlan plan_;
  std::vector<Block> blocks_;
  std::vector<int> block_of_;  // by BufferId; -1: none
};

}  // namespace

MemoryPlan plan_memory(const Program& program, const ElementSizes& sizes) {
  return Planner(program, sizes).plan();
}

}  // namespace ddpm
