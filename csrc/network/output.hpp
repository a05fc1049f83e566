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

}  // namespace
}  // namespace brats::network::BRATS_VARIANT
