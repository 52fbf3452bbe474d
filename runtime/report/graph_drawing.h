// Draws the network of a Program as a U-shaped graph. Everything comes from the program: blocks from the
// operations' names, arrows and skip connections from their operands, rows from their shapes.
#pragma once

#include <string>
#include <vector>

#include "runtime/program/program.h"

namespace ddpm {

// One box of the drawing: consecutive forward operations of one module.
struct NetworkBlock {
  std::string name;  // "down_blocks.0.resnets.1"
  std::vector<size_t> operations;
  Shape output;  // shape of its last result
  int64_t parameters = 0;
  std::vector<size_t> sources;        // blocks whose results it reads, in execution order
  std::vector<size_t> image_sources;  // those of which it reads an image-shaped result (N,H,W,C)
};

// Groups the forward operations by module. A module's name ends after the number of its last list
// ("resnets.1"; lists have plural names); outside lists it is the first part ("conv_in", "time_embedding").
std::vector<NetworkBlock> network_blocks(const Program& program);

// A complete SVG file. Each skip connection has a row, with the way down on the left and the way up on the
// right; rows of one resolution share a band.
std::string graph_svg(const Program& program, const std::string& title);

}  // namespace ddpm
