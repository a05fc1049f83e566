#include "parts.hpp"

#include <algorithm>

namespace brats::network {
namespace {

// A part's tile stays in a core's second-level cache beside the weights.
constexpr std::int64_t largest_tile = 90'000;  // words
constexpr std::int64_t fewest_rows = 8;
// Enough parts that the last ones leave few threads idle.
constexpr std::int64_t enough = 64;
// Cutting channels packs a tile again for each part of them.
constexpr std::int64_t enough_by_channels = 16;

std::int64_t halved(std::int64_t n) { return (n + 1) / 2; }

}  // namespace

std::vector<Part> cut(const Work& work, const std::function<std::int64_t(std::int64_t rows)>& scratch_words) {
    const Grid& grid = work.grid;
    std::int64_t rows = grid.height;
    while (rows > fewest_rows && scratch_words(rows) > largest_tile) rows = halved(rows);
    std::int64_t planes = grid.depth;
    std::int64_t channels = work.channels;
    const auto ceiling = [](std::int64_t a, std::int64_t b) { return (a + b - 1) / b; };
    const auto count = [&] {
        return work.groups * ceiling(grid.height, rows) * ceiling(grid.depth, planes) *
               ceiling(work.channels, channels);
    };
    while (count() < enough && planes > work.plane_step)
        planes = ceiling(halved(planes), work.plane_step) * work.plane_step;
    while (count() < enough_by_channels && channels > work.block)
        channels = ceiling(halved(channels), work.block) * work.block;

    std::vector<Part> parts;
    for (std::int64_t group = 0; group < work.groups; ++group)
        for (std::int64_t channel = 0; channel < work.channels; channel += channels)
            for (std::int64_t plane = 0; plane < grid.depth; plane += planes)
                for (std::int64_t row = 0; row < grid.height; row += rows)
                    parts.push_back({group,
                                     {channel, std::min(channel + channels, work.channels)},
                                     {row, std::min(row + rows, grid.height)},
                                     {plane, std::min(plane + planes, grid.depth)}});
    return parts;
}

}  // namespace brats::network
