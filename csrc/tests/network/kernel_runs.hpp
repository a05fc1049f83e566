// Runs a layer part by part, as the network does, and checks what it wrote and counted.
#pragma once

#include <doctest/doctest.h>

#include <array>
#include <string>

#include "../../network/parts.hpp"
#include "../../network/weights.hpp"
#include "stored.hpp"

namespace brats::plain {

using network::Kernels;
using network::Part;
using network::Work;

struct Shape {
    Grid grid;
    std::int64_t groups, inputs, outputs;  // channels of a group
};

// Rows shorter than a vector, as long as one, with a rest; heights that are cut into several tiles; odd ones and a
// single plane; blocks of 8, 4, 2 and 1 channels.
inline constexpr auto shapes = std::to_array<Shape>({{{4, 4, 4}, 1, 8, 8},
                                                     {{2, 8, 8}, 4, 4, 8},
                                                     {{6, 10, 20}, 2, 2, 4},
                                                     {{2, 4, 40}, 1, 12, 6},
                                                     {{1, 2, 2}, 4, 16, 16},
                                                     {{4, 16, 16}, 1, 2, 2},
                                                     {{3, 6, 32}, 1, 40, 24},
                                                     {{8, 24, 16}, 4, 2, 8},
                                                     {{2, 2, 2}, 4, 1, 1},
                                                     {{8, 8, 8}, 4, 1, 3},
                                                     {{2, 40, 64}, 1, 16, 16},
                                                     {{8, 6, 24}, 1, 6, 12},
                                                     {{1, 1, 1}, 1, 2, 2},
                                                     {{32, 32, 32}, 1, 2, 2}});
// Those of a stride of 2.
inline constexpr auto even_shapes = std::to_array<Shape>({{{4, 4, 4}, 1, 8, 8},
                                                          {{2, 8, 16}, 4, 4, 8},
                                                          {{6, 10, 20}, 2, 2, 4},
                                                          {{2, 4, 80}, 1, 12, 6},
                                                          {{2, 2, 2}, 4, 16, 16},
                                                          {{4, 16, 64}, 1, 2, 2},
                                                          {{8, 8, 8}, 4, 1, 3},
                                                          {{8, 6, 24}, 1, 40, 12},
                                                          {{2, 2, 2}, 4, 1, 1},
                                                          {{2, 80, 64}, 1, 16, 16},
                                                          {{16, 16, 32}, 1, 2, 4}});

inline std::int64_t block_for(const Kernels& kernels, std::int64_t outputs) {
    return network::block_of(outputs, kernels.channels_a_word, kernels.widest_block);
}

inline bool fits(const Kernels& kernels, const Shape& shape) {
    return shape.inputs % kernels.channels_a_word == 0 && shape.outputs % kernels.channels_a_word == 0;
}

inline bool may_stream(const Grid& grid) { return grid.width % network::longest_vector == 0; }

inline std::string name(const Kernels& kernels, const Shape& shape) {
    return std::string(kernels.name) + ", grid " + std::to_string(shape.grid.depth) + "x" +
           std::to_string(shape.grid.height) + "x" + std::to_string(shape.grid.width) + ", " +
           std::to_string(shape.groups) + " groups of " + std::to_string(shape.inputs) + " to " +
           std::to_string(shape.outputs);
}

// Runs all parts on a scratch of exactly the size that was promised, and merges their moments.
template <class Layer, class Kernel, class ScratchWords>
std::vector<Moments> run_parts(Layer& layer, Kernel kernel, const Work& work, const ScratchWords& scratch_words) {
    std::vector<Moments> moments(size(work.groups * work.channels));
    for (const Part& part : cut(work, scratch_words)) {
        std::vector<Moments> of_part(moments.size());
        layer.target.moments = of_part.data();
        Words scratch(size(scratch_words(part.rows.size())), unwritten);
        kernel(layer, part, scratch.data());
        for (std::size_t i = 0; i < moments.size(); ++i) merge(moments[i], of_part[i]);
    }
    return moments;
}

// Values of `numbers` are multiples of 2^-6 up to 1. Behind a scale of 1 or -1, tiles are multiples of it up to 4 and
// transformed weights multiples of 2^-7 up to 1.5: bfloat16 holds all of them, and float32 their sums in any order. So
// the words are to be those of the exact sums, rounded once.
inline void check_exact(const Stored& found, const Tensor& expected) {
    const Tensor values = found.plain();
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < expected.values.size(); ++i)
        wrong += values.values[i] == rounded(expected.values[i], found.channels_a_word) ? 0U : 1U;
    CHECK(wrong == 0);
    CHECK(found.slack_is_untouched());
}

// Moments are of the sums before they are rounded to words.
inline void check_moments(const std::vector<Moments>& found, const Tensor& expected, double tolerance = 1e-5) {
    const std::int64_t voxels = expected.grid.voxels();
    for (std::int64_t c = 0; c < expected.channels; ++c) {
        const Moments& moments = found[size(c)];
        double mean = 0.0;
        double squares = 0.0;
        for (std::int64_t i = 0; i < voxels; ++i)
            mean += expected.values[size(c * voxels + i)] / static_cast<double>(voxels);
        for (std::int64_t i = 0; i < voxels; ++i) squares += std::pow(expected.values[size(c * voxels + i)] - mean, 2);
        const double deviation = std::sqrt(squares / static_cast<double>(voxels));
        CHECK(moments.count == voxels);
        CHECK(std::abs(moments.mean - mean) <= tolerance * (deviation + std::abs(mean)));
        CHECK(std::abs(std::sqrt(variance_of(moments)) - deviation) <= tolerance * (deviation + std::abs(mean)));
    }
}

}  // namespace brats::plain
