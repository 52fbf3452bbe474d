#include "device/launch_config.h"

#include <string>

#include "support/error.h"

namespace ddpm {
namespace {

void check_extent(const CallSite& site, const char* name, int64_t extent, int64_t limit) {
  if (extent >= 1 && extent <= limit) return;
  throw LaunchError(
      fmt::format("{}:{}: {} is {}; expected 1 to {}", site.file, site.line, name, extent, limit));
}

}  // namespace

void check_launch_limits(const LaunchConfig& config) {
  const CallSite& site = config.site;
  check_extent(site, "grid.x", config.grid.x, (int64_t{1} << 31) - 1);
  check_extent(site, "grid.y", config.grid.y, 65535);
  check_extent(site, "grid.z", config.grid.z, 65535);
  check_extent(site, "block.x", config.block.x, 1024);
  check_extent(site, "block.y", config.block.y, 1024);
  check_extent(site, "block.z", config.block.z, 64);
  check_extent(site, "the number of threads in a block", config.block.x * config.block.y * config.block.z,
               kMaxThreadsPerBlock);
  if (config.shared_bytes > kMaxSharedBytes)
    throw LaunchError(fmt::format("{}:{}: {} bytes of dynamic shared memory requested, at most {} supported",
                                  site.file, site.line, config.shared_bytes, kMaxSharedBytes));
}

}  // namespace ddpm
