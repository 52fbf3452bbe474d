// The network of a Program as a picture in the shape of a U. Everything is read off the program: blocks
// from the operations' names, arrows and skip connections from their operands, rows from the shapes.
#pragma once

#include <string>
#include <vector>

#include "runtime/program/program.h"

namespace ddpm {

// What is drawn as one box: successive forward operations of one module.
struct NetworkBlock {
  std::string name;  // "down_blocks.0.resnets.1"
  std::vector<size_t> operations;
  Shape output;  // of its last result
  int64_t parameters = 0;
  std::vector<size_t> sources;        // blocks whose results it reads, in order of execution
  std::vector<size_t> image_sources;  // those of them that it reads an image-shaped (N,H,W,C) result of
};

// The forward operations, grouped. A module's name ends behind the number of its last list ("resnets.1"),
// lists being those in the plural; outside lists it is the first part ("conv_in", "time_embedding").
std::vector<NetworkBlock> network_blocks(const Program& program);

// A complete SVG file. Rows are skip connections: each has the way down on the left and the way up on the
// right, and rows of one resolution share a band.
std::string graph_svg(const Program& program, const std::string& title);

}  // namespace ddpm
