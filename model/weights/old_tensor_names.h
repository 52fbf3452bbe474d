// The names that tensors had before diffusers' present ones.
#pragma once

#include <string>
#include <string_view>

namespace ddpm {

// diffusers' present name of a tensor that an older file names otherwise: diffusers before 0.16 (attention as
// query, key, value, proj_attn), and DDIM's own PyTorch code (temb.dense.0, down.0.block.1, up.0, mid.attn_1,
// norm_out), which counts the levels of the way up from the finest of `levels`. Other names come back as they
// are.
std::string present_tensor_name(std::string_view name, int levels);

}  // namespace ddpm
