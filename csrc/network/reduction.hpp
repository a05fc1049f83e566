// 3x3x3 convolutions with stride 2. Rows and columns at even and at odd places are kept apart in the tile, so that a
// vector of outputs reads neighbours for every tap. Included by kernels.cpp only.
#pragma once

#include <utility>

#include "output.hpp"

namespace brats::network::BRATS_VARIANT {
namespace {

// Of a plane, four quarters: (even rows, even columns), (even, odd), (odd, even), (odd, odd). Those at odd places begin
// with the one before the first output's, which is zero where the grid ends.
struct Quarters {
    std::int64_t rows, pitch;

    BRATS_FLAT Quarters(std::int64_t output_rows, std::int64_t output_width)
        : rows(output_rows + 1), pitch(output_width + 1) {}
    [[nodiscard]] BRATS_FLAT std::int64_t quarter() const { return rows * pitch; }
    [[nodiscard]] BRATS_FLAT std::int64_t plane() const { return 4 * quarter(); }
    // Of tap 0, 1 or 2 along an axis: whether it reads odd places, and how many further than the output's own.
    static BRATS_FLAT std::int64_t odd(int tap) { return tap == 1 ? 0 : 1; }
    static BRATS_FLAT std::int64_t further(int tap) { return tap == 2 ? 1 : 0; }
    [[nodiscard]] BRATS_FLAT std::int64_t offset(int row_tap, int column_tap) const {
        return (2 * odd(row_tap) + odd(column_tap)) * quarter() + further(row_tap) * pitch + further(column_tap);
    }
};

// Every second of 2 * lanes words, from the first or the second on.
template <int from, int... lane>
BRATS_FLAT Words every_second(const std::uint32_t* row, std::integer_sequence<int, lane...> /*all*/) {
    return __builtin_shufflevector(load<Words>(row), load<Words>(row + lanes), (2 * lane + from)...);
}

BRATS_FLAT void part_columns(const std::uint32_t* row, std::int64_t half, std::int64_t next, std::uint32_t* even,
                             std::uint32_t* odd) {
    odd[0] = 0;
    std::int64_t x = 0;
    for (; x + lanes <= half; x += lanes) {
        prefetch(row + 2 * x + next);
        prefetch(row + 2 * x + lanes + next);
        store(even + x, every_second<0>(row + 2 * x, std::make_integer_sequence<int, lanes>{}));
        store(odd + 1 + x, every_second<1>(row + 2 * x, std::make_integer_sequence<int, lanes>{}));
    }
    for (; x < half; ++x) {
        even[x] = row[2 * x];
        odd[1 + x] = row[2 * x + 1];
    }
}

// Three planes of the source around an output's.
void part_planes(const Reduction& layer, const Part& part, std::int64_t z, const Quarters& shape,
                 std::uint32_t* scratch) {
    const Grid& grid = layer.source_grid;
    for (std::int64_t word = 0; word < layer.words; ++word)
        for (std::int64_t tap = 0; tap < 3; ++tap) {
            std::uint32_t* const to = scratch + (word * 3 + tap) * shape.plane();
            const std::int64_t plane = 2 * z - 1 + tap;
            const bool there = plane >= 0 && plane < grid.depth;
            const std::uint32_t* const from =
                layer.source + (part.group * layer.words + word) * grid.voxels() + (there ? plane : 0) * grid.plane();
            for (std::int64_t i = -1; i < 2 * part.rows.size(); ++i) {
                const std::int64_t y = 2 * part.rows.first + i;
                const bool odd = (i & 1) != 0;
                std::uint32_t* const even_columns =
                    to + (odd ? 2 * shape.quarter() + (i + 1) / 2 * shape.pitch : i / 2 * shape.pitch);
                std::uint32_t* const odd_columns = even_columns + shape.quarter();
                if (there && y >= 0) {
                    part_columns(from + y * grid.width, grid.width / 2, grid.voxels(), even_columns, odd_columns);
                } else {
                    for (std::int64_t x = 0; x < shape.pitch; ++x) even_columns[x] = odd_columns[x] = 0;
                }
            }
        }
}

template <class Word>
void reduce(const Reduction& layer, const Part& part, std::uint32_t* scratch) {
    const Quarters shape(part.rows.size(), layer.grid.width);
    std::int64_t offsets[27];
    for (int tap = 0; tap < 27; ++tap) offsets[tap] = tap / 9 * shape.plane() + shape.offset(tap / 3 % 3, tap % 3);
    const Taps taps{offsets, 27, layer.words, 3 * shape.plane(), shape.pitch};
    for (std::int64_t z = part.planes.first; z < part.planes.last; ++z) {
        part_planes(layer, part, z, shape, scratch);
        each_block<Word::channels>(part.channels, layer.block, layer.block, [&]<int Block>(std::int64_t channel) {
            const std::int64_t first = part.group * layer.channels + channel;
            const std::uint32_t* const weights = layer.weights + first * layer.words * taps.count;
            sum_plane<Word, Block>(taps, scratch, weights, layer.target, layer.grid, part, z, first);
        });
    }
    finish_streams();
}

}  // namespace
}  // namespace brats::network::BRATS_VARIANT
