// The layers in the plainest way, in float64, on tensors of [channel][z][y][x].
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "../../network/layers.hpp"

namespace brats::plain {

using network::Grid;

inline std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }

struct Tensor {
    std::int64_t channels = 0;
    Grid grid{};
    std::vector<double> values;

    Tensor(std::int64_t channel_count, const Grid& of)
        : channels(channel_count), grid(of), values(size(channel_count * of.voxels())) {}

    double& at(std::int64_t c, std::int64_t z, std::int64_t y, std::int64_t x) {
        return values[size(c * grid.voxels() + z * grid.plane() + y * grid.width + x)];
    }
    // Zero outside the grid.
    [[nodiscard]] double padded(std::int64_t c, std::int64_t z, std::int64_t y, std::int64_t x) const {
        const bool inside = z >= 0 && z < grid.depth && y >= 0 && y < grid.height && x >= 0 && x < grid.width;
        return inside ? values[size(c * grid.voxels() + z * grid.plane() + y * grid.width + x)] : 0.0;
    }
};

// Values that bfloat16 holds exactly, of both signs.
inline std::vector<float> numbers(std::int64_t count, unsigned seed) {
    std::mt19937 random(seed);
    std::uniform_int_distribution<int> steps(-64, 64);
    std::vector<float> made(size(count));
    for (float& value : made) value = static_cast<float>(steps(random)) / 64.0F;
    return made;
}

inline Tensor tensor(std::int64_t channels, const Grid& grid, unsigned seed) {
    Tensor made(channels, grid);
    const std::vector<float> values = numbers(channels * grid.voxels(), seed);
    std::ranges::copy(values, made.values.begin());
    return made;
}

// max(0, scale * x + shift) of each channel.
inline Tensor activated(const Tensor& in, const std::vector<float>& scale, const std::vector<float>& shift) {
    Tensor out = in;
    for (std::size_t i = 0; i < out.values.size(); ++i) {
        const std::size_t channel = i / size(in.grid.voxels());
        out.values[i] =
            std::max(0.0, static_cast<double>(scale[channel]) * in.values[i] + static_cast<double>(shift[channel]));
    }
    return out;
}

// 3x3x3 with a stride, zeros around; weights are (outputs, inputs of a group, 3, 3, 3).
inline Tensor convolved(const Tensor& in, const std::vector<float>& weights, std::int64_t outputs, std::int64_t groups,
                        std::int64_t stride) {
    const Grid grid{in.grid.depth / stride, in.grid.height / stride, in.grid.width / stride};
    Tensor out(outputs, grid);
    const std::int64_t inputs = in.channels / groups;
    for (std::int64_t c = 0; c < outputs; ++c)
        for (std::int64_t z = 0; z < grid.depth; ++z)
            for (std::int64_t y = 0; y < grid.height; ++y)
                for (std::int64_t x = 0; x < grid.width; ++x)
                    for (std::int64_t i = 0; i < inputs; ++i)
                        for (std::int64_t tap = 0; tap < 27; ++tap)
                            out.at(c, z, y, x) +=
                                static_cast<double>(weights[size((c * inputs + i) * 27 + tap)]) *
                                in.padded(c / (outputs / groups) * inputs + i, z * stride + tap / 9 - 1,
                                          y * stride + tap / 3 % 3 - 1, x * stride + tap % 3 - 1);
    return out;
}

// The greatest of so many equal parts of the channels, those left out whose bit is set in `absent`.
inline Tensor greatest(const Tensor& in, std::int64_t parts, std::uint32_t absent = 0) {
    Tensor out(in.channels / parts, in.grid);
    std::ranges::fill(out.values, -std::numeric_limits<double>::infinity());
    for (std::int64_t part = 0; part < parts; ++part)
        for (std::size_t i = 0; (absent >> part & 1U) == 0 && i < out.values.size(); ++i)
            out.values[i] = std::max(out.values[i], in.values[i + size(part) * out.values.size()]);
    return out;
}

inline Tensor joined(const Tensor& first, const Tensor& second) {
    Tensor out(first.channels + second.channels, first.grid);
    std::ranges::copy(second.values, std::ranges::copy(first.values, out.values.begin()).out);
    return out;
}

inline Tensor mixed(const Tensor& in, const std::vector<float>& weights, std::int64_t outputs) {
    Tensor out(outputs, in.grid);
    const std::int64_t voxels = in.grid.voxels();
    for (std::int64_t c = 0; c < outputs; ++c)
        for (std::int64_t i = 0; i < in.channels; ++i)
            for (std::int64_t voxel = 0; voxel < voxels; ++voxel)
                out.values[size(c * voxels + voxel)] +=
                    static_cast<double>(weights[size(c * in.channels + i)]) * in.values[size(i * voxels + voxel)];
    return out;
}

// Weights are (inputs, outputs, 2, 2, 2).
inline Tensor expanded(const Tensor& in, const std::vector<float>& weights, std::int64_t outputs) {
    Tensor out(outputs, {2 * in.grid.depth, 2 * in.grid.height, 2 * in.grid.width});
    for (std::int64_t c = 0; c < outputs; ++c)
        for (std::int64_t z = 0; z < out.grid.depth; ++z)
            for (std::int64_t y = 0; y < out.grid.height; ++y)
                for (std::int64_t x = 0; x < out.grid.width; ++x)
                    for (std::int64_t i = 0; i < in.channels; ++i)
                        out.at(c, z, y, x) +=
                            static_cast<double>(weights[size((i * outputs + c) * 8 + z % 2 * 4 + y % 2 * 2 + x % 2)]) *
                            in.padded(i, z / 2, y / 2, x / 2);
    return out;
}

// Over four channels.
inline void take_softmax(Tensor& scores) {
    const std::size_t voxels = size(scores.grid.voxels());
    for (std::size_t i = 0; i < voxels; ++i) {
        double greatest = scores.values[i];
        for (std::size_t c = 1; c < 4; ++c) greatest = std::max(greatest, scores.values[c * voxels + i]);
        double total = 0.0;
        for (std::size_t c = 0; c < 4; ++c) total += std::exp(scores.values[c * voxels + i] - greatest);
        for (std::size_t c = 0; c < 4; ++c)
            scores.values[c * voxels + i] = std::exp(scores.values[c * voxels + i] - greatest) / total;
    }
}

inline void add(Tensor& to, const Tensor& more) {
    for (std::size_t i = 0; i < to.values.size(); ++i) to.values[i] += more.values[i];
}

inline void add(Tensor& to, const std::vector<float>& bias) {
    for (std::size_t i = 0; i < to.values.size(); ++i)
        to.values[i] += static_cast<double>(bias[i / size(to.grid.voxels())]);
}

}  // namespace brats::plain
