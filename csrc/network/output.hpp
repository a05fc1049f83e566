// What becomes of the sums: bias, residual, moments, and words in the output tensor. Included by kernels.cpp only.
#pragma once

#include "accumulation.hpp"

namespace brats::network::BRATS_VARIANT {
namespace {

// Sums of a block's deviations from a value near its mean, so that they do not cancel.
template <int Block>
struct Tally {
    Floats sum[Block] = {};
    Floats squares[Block] = {};
    float pivot[Block] = {};
    std::int64_t count = 0;
};

BRATS_FLAT int lanes_in_use(const Position& position) {
    if (position.whole) return lanes;
    int count = 0;
    for (const std::int64_t voxel : position.of_lane) count += voxel >= 0;
    return count;
}

BRATS_FLAT Floats used_lanes(const Position& position, Floats value) {
    if (position.whole) return value;
    for (int lane = 0; lane < lanes; ++lane)
        if (position.of_lane[lane] < 0) value[lane] = 0.0F;
    return value;
}

BRATS_FLAT Words read(const std::uint32_t* plane, const Position& position) {
    if (position.whole) return load<Words>(plane + position.output);
    Words words{};
    for (int lane = 0; lane < lanes; ++lane)
        if (position.of_lane[lane] >= 0) words[lane] = plane[position.of_lane[lane]];
    return words;
}

BRATS_FLAT void write(std::uint32_t* plane, const Position& position, bool streamed, Words words) {
    if (position.whole && streamed) {
        stream(plane + position.output, words);
        return;
    }
    if (position.whole) {
        store(plane + position.output, words);
        return;
    }
    for (int lane = 0; lane < lanes; ++lane)
        if (position.of_lane[lane] >= 0) plane[position.of_lane[lane]] = words[lane];
}

template <int Block>
BRATS_FLAT void count(Tally<Block>& tally, const Sums<Block>& sums, const Some& some) {
    if (tally.count == 0)
        for (int channel = 0; channel < Block; ++channel)
            tally.pivot[channel] =
                sum(used_lanes(some.at[0], sums.at[channel][0])) / static_cast<float>(lanes_in_use(some.at[0]));
    for (int v = 0; v < some.used; ++v) {
        tally.count += lanes_in_use(some.at[v]);
        for (int channel = 0; channel < Block; ++channel) {
            const Floats deviation = used_lanes(some.at[v], sums.at[channel][v] - tally.pivot[channel]);
            tally.sum[channel] += deviation;
            tally.squares[channel] += deviation * deviation;
        }
    }
}

// Merges a block's tally into the moments of its channels.
template <int Block>
BRATS_FLAT void book(const Tally<Block>& tally, Moments* moments) {
    if (tally.count == 0) return;
    const auto count = static_cast<double>(tally.count);
    for (int channel = 0; channel < Block; ++channel) {
        double total = 0.0;
        double squares = 0.0;
        for (int lane = 0; lane < lanes; ++lane) {
            total += static_cast<double>(tally.sum[channel][lane]);
            squares += static_cast<double>(tally.squares[channel][lane]);
        }
        const double deviations = squares - total * total / count;
        merge(moments[channel], {tally.count, static_cast<double>(tally.pivot[channel]) + total / count,
                                 deviations > 0.0 ? deviations : 0.0});
    }
}

// One block of channels of a target: `plane` is the first channel's, at the output's plane.
struct Outlet {
    std::uint32_t* plane;
    const std::uint32_t* residual;
    std::int64_t voxels;
    bool streamed;
};

BRATS_FLAT Outlet outlet(const Target& target, const Grid& grid, std::int64_t plane, std::int64_t z, std::int64_t row) {
    const std::int64_t first = plane * grid.voxels() + z * grid.plane() + row * grid.width;
    return {target.words + first, target.residual == nullptr ? nullptr : target.residual + first, grid.voxels(),
            target.streamed};
}

template <class Word, int Block>
BRATS_FLAT void emit(Sums<Block>& sums, const Some& some, const Outlet& to, Tally<Block>* tally) {
    for (int v = 0; v < some.used; ++v)
        for (int word = 0; word < Block / Word::channels; ++word) {
            typename Word::Parts parts;
            typename Word::Parts rest = {};
            if (to.residual != nullptr) rest = Word::split(read(to.residual + word * to.voxels, some.at[v]));
            for (int part = 0; part < Word::channels; ++part) {
                Floats& value = sums.at[word * Word::channels + part][v];
                value += rest.at[part];
                parts.at[part] = value;
            }
            write(to.plane + word * to.voxels, some.at[v], to.streamed, Word::join(parts));
        }
    if (tally != nullptr) count(*tally, sums, some);
}

template <int Block>
BRATS_FLAT Sums<Block> start(const float* bias) {
    Sums<Block> sums = {};
    if (bias != nullptr)
        for (int channel = 0; channel < Block; ++channel)
            for (int v = 0; v < vectors; ++v) sums.at[channel][v] = all(bias[channel]);
    return sums;
}

// The words of a tile that a voxel's output is the sum of.
struct Taps {
    const std::int64_t* offsets;
    int count;
    std::int64_t words, stride;  // how many, and how far apart
    std::int64_t pitch;          // from one output row's to the next one's
};

// A block of channels, from channel `first` of all groups on, in one plane of the output.
template <class Word, int Block>
BRATS_FLAT void sum_plane(const Taps& taps, const std::uint32_t* tile, const std::uint32_t* weights,
                          const Target& target, const Grid& grid, const Part& part, std::int64_t z,
                          std::int64_t first) {
    const float* bias = target.bias == nullptr ? nullptr : target.bias + first;
    const Outlet to = outlet(target, grid, first / Word::channels, z, part.rows.first);
    Tally<Block> tally;
    const Positions positions(part.rows.size(), grid.width, taps.pitch);
    for (std::int64_t i = 0; i < positions.count(); i += vectors) {
        const Some now = some(positions, i);
        const std::uint32_t* const at[vectors] = {tile + now.at[0].tile, tile + now.at[1].tile};
        auto sums = start<Block>(bias);
        accumulate<Word, Block>(at, taps.words, taps.stride, taps.offsets, taps.count, weights, sums);
        emit<Word>(sums, now, to, target.moments == nullptr ? nullptr : &tally);
    }
    if (target.moments != nullptr) book(tally, target.moments + first);
}

// Calls body.operator()<Block>(channel) for each block's first channel; a block has at least `smallest` sums.
template <int smallest, class Body>
BRATS_FLAT void each_block(Range channels, std::int64_t step, std::int64_t block, const Body& body) {
    for (std::int64_t channel = channels.first; channel < channels.last; channel += step) {
        if (block == 8)
            body.template operator()<8>(channel);
        else if (block == 4)
            body.template operator()<4>(channel);
        else if constexpr (smallest <= 2) {
            if (block == 2)
                body.template operator()<2>(channel);
            else if constexpr (smallest == 1)
                body.template operator()<1>(channel);
        }
    }
}

}  // namespace
}  // namespace brats::network::BRATS_VARIANT
