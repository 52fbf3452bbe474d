// Animated PNG (the APNG extension, in the PNG specification since its third edition, 2025).
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "data/image.h"

namespace ddpm {

struct ApngOptions {
  int frame_milliseconds = 100;
  int last_frame_milliseconds = 1500;  // the result stays in view before the animation starts again
  int repetitions = 0;                 // 0: forever
};

// All frames must have the same size. Viewers without APNG support show the first frame.
std::vector<uint8_t> encode_apng(std::span<const Image> frames, const ApngOptions& options = {});

void write_apng(const std::filesystem::path& path, std::span<const Image> frames,
                const ApngOptions& options = {});

}  // namespace ddpm
