// 3x3x3 convolutions with stride 1 by Winograd's F(2, 3) along the depth: two planes of the output from four of the
// input, p0 to p3, with 36 products a voxel pair instead of 54 (Lavin and Gray, 2016). Four tiles are made of them,
//   p0 - p2, p1 + p2, p2 - p1, p1 - p3,
// each is convolved in its plane, and of the four results m the planes m0 + m1 + m2 and m1 - m2 - m3 come out; the
// last tile's weights are stored with the opposite sign. Included by kernels.cpp only.
#pragma once

#include "output.hpp"

namespace brats::network::BRATS_VARIANT {
namespace {

constexpr int tiles = 4;

template <class T>
struct FourPlanes {
    const T* at[tiles];
    bool there[tiles];  // planes outside the grid are zero
};

template <class T>
BRATS_FLAT FourPlanes<T> four_planes(const T* channel, const Grid& grid, std::int64_t z) {
    FourPlanes<T> planes;
    for (int i = 0; i < tiles; ++i) {
        const std::int64_t at = z - 1 + i;
        planes.there[i] = at >= 0 && at < grid.depth;
        planes.at[i] = channel + (planes.there[i] ? at : z) * grid.plane();
    }
    return planes;
}

struct FourFloats {
    Floats at[tiles];
};

BRATS_FLAT FourFloats transformed(const FourFloats& p) {
    return {{p.at[0] - p.at[2], p.at[1] + p.at[2], p.at[2] - p.at[1], p.at[1] - p.at[3]}};
}

// A tile has a row above and below, and a column left and right, of zeros where the grid ends.
struct TileShape {
    std::int64_t rows, pitch, words;

    [[nodiscard]] BRATS_FLAT std::int64_t plane() const { return rows * pitch; }
    [[nodiscard]] BRATS_FLAT std::int64_t size() const { return words * plane() + slack; }
};

BRATS_FLAT void zero(std::uint32_t* words, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) words[i] = 0;
}

// Scale and shift of one word's channels; zero where the plane lies outside.
template <class Word>
struct Scaling {
    Word::Parts scale[tiles], shift[tiles];
};

template <class Word>
BRATS_FLAT Scaling<Word> scaling(const float* scale, const float* shift, const bool (&there)[tiles]) {
    Scaling<Word> found;
    for (int i = 0; i < tiles; ++i)
        for (int part = 0; part < Word::channels; ++part) {
            found.scale[i].at[part] = all(there[i] ? scale[part] : 0.0F);
            found.shift[i].at[part] = all(there[i] ? shift[part] : 0.0F);
        }
    return found;
}

// One row of the four tiles, scaled, shifted and cut off at zero. Vectors reach past the row's end: rows are written in
// order, and a row's borders after its voxels. Those packed next lie `next` words further.
template <class Word>
BRATS_FLAT void pack_row(const FourPlanes<std::uint32_t>& planes, std::int64_t row_start, std::int64_t width,
                         std::int64_t next, const Scaling<Word>& scaling, std::uint32_t* const (&to)[tiles]) {
    for (std::int64_t x = 0; x < width; x += lanes) {
        for (const std::uint32_t* plane : planes.at) prefetch(plane + row_start + x + next);
        typename Word::Parts tile[tiles];
        typename Word::Parts in[tiles];
        for (int i = 0; i < tiles; ++i) in[i] = Word::split(load<Words>(planes.at[i] + row_start + x));
        for (int part = 0; part < Word::channels; ++part) {
            FourFloats p;
            for (int i = 0; i < tiles; ++i)
                p.at[i] = greater(Floats{}, in[i].at[part] * scaling.scale[i].at[part] + scaling.shift[i].at[part]);
            const FourFloats t = transformed(p);
            for (int i = 0; i < tiles; ++i) tile[i].at[part] = t.at[i];
        }
        for (int i = 0; i < tiles; ++i) store(to[i] + 1 + x, Word::join(tile[i]));
    }
}

template <class Word>
void pack(const Convolution& layer, const Part& part, std::int64_t z, const TileShape& shape, std::uint32_t* scratch) {
    const Grid& grid = layer.grid;
    for (std::int64_t word = 0; word < shape.words; ++word) {
        const std::int64_t plane = part.group * layer.words + word;
        const auto planes = four_planes(layer.source + plane * grid.voxels(), grid, z);
        const std::int64_t channel = plane * Word::channels;
        const auto factors = scaling<Word>(layer.scale + channel, layer.shift + channel, planes.there);
        const std::int64_t next =
            word + 1 < shape.words ? grid.voxels() : 2 * grid.plane() - (shape.words - 1) * grid.voxels();
        for (std::int64_t row = 0; row < shape.rows; ++row) {
            std::uint32_t* to[tiles];
            for (int i = 0; i < tiles; ++i)
                to[i] = scratch + i * shape.size() + word * shape.plane() + row * shape.pitch;
            const std::int64_t y = part.rows.first - 1 + row;
            if (y < 0 || y >= grid.height) {
                for (std::uint32_t* tile : to) zero(tile, shape.pitch);
                continue;
            }
            pack_row<Word>(planes, y * grid.width, grid.width, next, factors, to);
            for (std::uint32_t* tile : to) tile[0] = tile[grid.width + 1] = 0;
        }
    }
}

// Words of two channels hold a voxel's left neighbour and the voxel itself.
template <class Word>
BRATS_FLAT void pack_neighbours(const float* row, std::int64_t width, std::uint32_t* to) {
    for (std::int64_t x = 0; x < width + 2; x += lanes) {
        typename Word::Parts parts;
        for (int part = 0; part < Word::channels; ++part) parts.at[part] = load<Floats>(row + x + part);
        store(to + x, Word::join(parts));
    }
}

// A row of the four tiles in float32, `length` apart.
BRATS_FLAT void transform_row(const FourPlanes<float>& planes, std::int64_t row_start, std::int64_t width, float* to,
                              std::int64_t length) {
    float there[tiles];
    for (int i = 0; i < tiles; ++i) there[i] = planes.there[i] ? 1.0F : 0.0F;
    std::int64_t x = 0;
    for (; x + lanes <= width; x += lanes) {
        FourFloats p;
        for (int i = 0; i < tiles; ++i) p.at[i] = load<Floats>(planes.at[i] + row_start + x) * there[i];
        const FourFloats t = transformed(p);
        for (int i = 0; i < tiles; ++i) store(to + i * length + x, t.at[i]);
    }
    for (; x < width; ++x) {
        float p[tiles];
        for (int i = 0; i < tiles; ++i) p[i] = planes.at[i][row_start + x] * there[i];
        to[x] = p[0] - p[2];
        to[length + x] = p[1] + p[2];
        to[2 * length + x] = p[2] - p[1];
        to[3 * length + x] = p[1] - p[3];
    }
}

template <class Word>
void pack(const FirstConvolution& layer, const Part& part, std::int64_t z, const TileShape& shape,
          std::uint32_t* scratch) {
    const Grid& grid = layer.grid;
    const auto planes = four_planes(layer.source + part.group * grid.voxels(), grid, z);
    // Behind the tiles: a row of each in float32, with zeros around it.
    const std::int64_t length = first_row_words(grid.width);
    auto* rows = reinterpret_cast<float*>(scratch + tiles * shape.size());
    zero(scratch + tiles * shape.size(), tiles * length);
    for (std::int64_t row = 0; row < shape.rows; ++row) {
        const std::int64_t y = part.rows.first - 1 + row;
        if (y < 0 || y >= grid.height) {
            for (int i = 0; i < tiles; ++i) zero(scratch + i * shape.size() + row * shape.pitch, shape.pitch);
            continue;
        }
        transform_row(planes, y * grid.width, grid.width, rows + 1, length);
        for (int i = 0; i < tiles; ++i)
            pack_neighbours<Word>(rows + i * length, grid.width, scratch + i * shape.size() + row * shape.pitch);
    }
}

// Two planes of a block of channels at some voxels.
template <class Word, int Block>
BRATS_FLAT void convolve_some(const std::uint32_t* scratch, const TileShape& shape, const std::int64_t* offsets,
                              int taps, const std::uint32_t* weights, const float* bias, const Some& now,
                              const Outlet& lower, const Outlet* upper, Tally<Block>* tally) {
    const std::int64_t a_tile = shape.words * taps * Block;
    const auto convolve_tile = [&](int tile, Sums<Block>& sums) __attribute__((always_inline)) {
        const std::uint32_t* const of_tile = scratch + tile * shape.size();
        const std::uint32_t* const at[vectors] = {of_tile + now.at[0].tile, of_tile + now.at[1].tile};
        accumulate<Word, Block>(at, shape.words, shape.plane(), offsets, taps, weights + tile * a_tile, sums);
    };
    auto added = start<Block>(bias);
    convolve_tile(1, added);
    auto taken = start<Block>(nullptr);
    convolve_tile(2, taken);
    Sums<Block> first;
    Sums<Block> second;
    for (int channel = 0; channel < Block; ++channel)
        for (int v = 0; v < vectors; ++v) {
            first.at[channel][v] = added.at[channel][v] + taken.at[channel][v];
            second.at[channel][v] = added.at[channel][v] - taken.at[channel][v];
        }
    convolve_tile(0, first);
    emit<Word>(first, now, lower, tally);
    if (upper == nullptr) return;
    convolve_tile(3, second);
    emit<Word>(second, now, *upper, tally);
}

template <class Word, int Block, class Layer>
void convolve_block(const Layer& layer, const Part& part, std::int64_t z, std::int64_t channel, const TileShape& shape,
                    const std::int64_t* offsets, int taps, const std::uint32_t* scratch) {
    const Target& target = layer.target;
    const std::int64_t of_all = part.group * layer.channels + channel;
    const std::uint32_t* weights = layer.weights + of_all * tiles * shape.words * taps;
    const float* bias = target.bias == nullptr ? nullptr : target.bias + of_all;
    const std::int64_t plane = of_all / Word::channels;
    const Outlet lower = outlet(target, layer.grid, plane, z, part.rows.first);
    const Outlet next = outlet(target, layer.grid, plane, z + 1, part.rows.first);
    const Outlet* upper = z + 1 < layer.grid.depth ? &next : nullptr;
    Tally<Block> tally;
    Tally<Block>* const counted = target.moments == nullptr ? nullptr : &tally;
    const Positions positions(part.rows.size(), layer.grid.width, shape.pitch);
    for (std::int64_t i = 0; i < positions.count(); i += vectors)
        convolve_some<Word, Block>(scratch, shape, offsets, taps, weights, bias, some(positions, i), lower, upper,
                                   counted);
    if (counted != nullptr) book(tally, target.moments + of_all);
}

template <class Word, class Layer>
void convolve_planes(const Layer& layer, const Part& part, std::int64_t words, const std::int64_t* columns,
                     int column_count, std::uint32_t* scratch) {
    const TileShape shape{part.rows.size() + 2, layer.grid.width + 2, words};
    std::int64_t offsets[9];
    for (int row = 0; row < 3; ++row)
        for (int i = 0; i < column_count; ++i) offsets[row * column_count + i] = row * shape.pitch + columns[i];
    const int taps = 3 * column_count;
    for (std::int64_t z = part.planes.first; z < part.planes.last; z += 2) {
        pack<Word>(layer, part, z, shape, scratch);
        each_block<Word::channels>(part.channels, layer.block, layer.block, [&]<int Block>(std::int64_t channel) {
            convolve_block<Word, Block>(layer, part, z, channel, shape, offsets, taps, scratch);
        });
    }
    finish_streams();
}

template <class Word>
void convolve(const Convolution& layer, const Part& part, std::uint32_t* scratch) {
    constexpr std::int64_t columns[] = {0, 1, 2};
    convolve_planes<Word>(layer, part, layer.words, columns, 3, scratch);
}

template <class Word>
void convolve_first(const FirstConvolution& layer, const Part& part, std::uint32_t* scratch) {
    constexpr std::int64_t columns[2][3] = {{0, 1, 2}, {0, 2, 0}};
    convolve_planes<Word>(layer, part, 1, columns[Word::channels - 1], Word::channels == 1 ? 3 : 2, scratch);
}

}  // namespace
}  // namespace brats::network::BRATS_VARIANT
