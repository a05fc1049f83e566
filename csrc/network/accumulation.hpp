// The inner loop of every layer: output channels by vectors of voxels, over words and taps. Included by kernels.cpp
// only.
#pragma once

#include "lanes.hpp"
#include "layers.hpp"

namespace brats::network::BRATS_VARIANT {
namespace {

constexpr int vectors = 2;  // computed at once

template <int Block>
struct Sums {
    Floats at[Block][vectors];
};

// Where a vector of voxels lies in a tile and in the output; its lanes in use are in a row of the output unless `whole`
// says otherwise.
struct Position {
    std::int64_t tile;
    std::int64_t output;
    bool whole;
    std::int64_t of_lane[lanes];  // the output's, -1 for lanes not in use; set unless whole
};

// sums += the taps of every word at `at`; weights are [words][taps][block].
template <class Word, int Block>
BRATS_FLAT void accumulate(const std::uint32_t* const (&at)[vectors], std::int64_t words, std::int64_t stride,
                           const std::int64_t* offsets, int taps, const std::uint32_t* weights, Sums<Block>& result) {
    Sums<Block> sums = result;
    for (std::int64_t word = 0; word < words; ++word)
        for (int tap = 0; tap < taps; ++tap, weights += Block) {
            const std::int64_t offset = word * stride + offsets[tap];
            Words in[vectors];
#pragma GCC unroll 4
            for (int v = 0; v < vectors; ++v) in[v] = load<Words>(at[v] + offset);
#pragma GCC unroll 8
            for (int channel = 0; channel < Block; ++channel)
#pragma GCC unroll 4
                for (int v = 0; v < vectors; ++v)
                    sums.at[channel][v] = Word::dot(sums.at[channel][v], in[v], weights[channel]);
        }
    result = sums;
}

// The vectors of a tile of `rows` rows, `pitch` words apart in the tile and `width` in the output. Where a row is
// shorter than a vector, the tile is taken as one row and the words between rows are not used.
class Positions {
public:
    BRATS_FLAT Positions(std::int64_t rows, std::int64_t width, std::int64_t pitch)
        : rows_(rows),
          width_(width),
          pitch_(pitch),
          a_row_(width >= lanes ? (width + lanes - 1) / lanes : 0),
          count_(a_row_ > 0 ? rows * a_row_ : (rows * pitch + lanes - 1) / lanes) {}

    [[nodiscard]] BRATS_FLAT std::int64_t count() const { return count_; }

    [[nodiscard]] BRATS_FLAT Position operator[](std::int64_t i) const {
        Position found;
        const std::int64_t row = a_row_ > 0 ? i / a_row_ : 0;
        const std::int64_t x = a_row_ > 0 ? i % a_row_ * lanes : i * lanes;
        found.tile = row * pitch_ + x;
        found.output = row * width_ + x;
        found.whole = a_row_ > 0 && x + lanes <= width_;
        if (found.whole) return found;
        for (int lane = 0; lane < lanes; ++lane) {
            const std::int64_t lane_row = a_row_ > 0 ? row : (x + lane) / pitch_;
            const std::int64_t lane_x = a_row_ > 0 ? x + lane : (x + lane) % pitch_;
            found.of_lane[lane] = lane_row < rows_ && lane_x < width_ ? lane_row * width_ + lane_x : -1;
        }
        return found;
    }

private:
    std::int64_t rows_, width_, pitch_, a_row_, count_;
};

// Some of the positions, as many as are computed at once. An odd one out is there twice; `used` of them are to be
// written.
struct Some {
    Position at[vectors];
    int used;
};

BRATS_FLAT Some some(const Positions& positions, std::int64_t i) {
    const bool both = i + 1 < positions.count();
    return {{positions[i], positions[both ? i + 1 : i]}, both ? 2 : 1};
}

}  // namespace
}  // namespace brats::network::BRATS_VARIANT
