#include <doctest/doctest.h>

#include <string>

#include "../../network/parts.hpp"
#include "../../network/weights.hpp"
#include "stored.hpp"

using namespace brats;
using namespace brats::network;
using plain::Stored;

namespace {

struct Shape {
    Grid grid;
    std::int64_t groups, inputs, outputs;  // channels of a group
};

// Rows shorter than a vector, as long as one, with a rest; heights that are cut into several tiles; one plane.
constexpr Shape shapes[] = {{{4, 4, 4}, 1, 8, 8},    {{2, 8, 8}, 4, 4, 8},   {{6, 10, 20}, 2, 2, 4},
                            {{2, 4, 40}, 1, 12, 6},  {{1, 2, 2}, 4, 16, 16}, {{4, 16, 16}, 1, 2, 2},
                            {{3, 6, 32}, 1, 40, 24}, {{8, 24, 16}, 4, 2, 8}, {{2, 40, 64}, 1, 16, 16}};
constexpr Shape even_shapes[] = {{{4, 4, 4}, 1, 8, 8},    {{2, 8, 16}, 4, 4, 8},  {{6, 10, 20}, 2, 2, 4},
                                 {{2, 4, 80}, 1, 12, 6},  {{2, 2, 2}, 4, 16, 16}, {{4, 16, 64}, 1, 2, 2},
                                 {{2, 40, 64}, 1, 16, 16}};

std::int64_t block_for(const Kernels& kernels, std::int64_t outputs) {
    return block_of(outputs, kernels.channels_a_word, kernels.widest_block);
}

bool fits(const Kernels& kernels, const Shape& shape) { return shape.inputs % kernels.channels_a_word == 0; }

// Runs all parts on a scratch of exactly the size that was promised, and merges their moments.
template <class Layer, class Kernel, class ScratchWords>
std::vector<Moments> run_parts(Layer& layer, Kernel kernel, const Work& work, const ScratchWords& scratch_words) {
    std::vector<Moments> moments(plain::size(work.groups * work.channels));
    for (const Part& part : cut(work, scratch_words)) {
        std::vector<Moments> of_part(moments.size());
        layer.target.moments = of_part.data();
        std::vector<std::uint32_t> scratch(plain::size(scratch_words(part.rows.size())), 0x7fc07fc0U);
        kernel(layer, part, scratch.data());
        for (std::size_t i = 0; i < moments.size(); ++i) merge(moments[i], of_part[i]);
    }
    return moments;
}

void check_moments(const std::vector<Moments>& found, const plain::Tensor& expected, double tolerance) {
    for (std::int64_t c = 0; c < expected.channels; ++c) {
        const Moments& moments = found[plain::size(c)];
        double mean = 0.0;
        double squares = 0.0;
        const std::int64_t voxels = expected.grid.voxels();
        for (std::int64_t i = 0; i < voxels; ++i)
            mean += expected.values[plain::size(c * voxels + i)] / static_cast<double>(voxels);
        for (std::int64_t i = 0; i < voxels; ++i)
            squares += std::pow(expected.values[plain::size(c * voxels + i)] - mean, 2);
        CHECK(moments.count == voxels);
        const double deviation = std::sqrt(squares / static_cast<double>(voxels));
        CHECK(std::abs(moments.mean - mean) <= tolerance * (deviation + std::abs(mean)));
        CHECK(std::abs(std::sqrt(variance_of(moments)) - deviation) <= tolerance * (deviation + std::abs(mean)));
    }
}

std::string name(const Kernels& kernels, const Shape& shape) {
    return std::string(kernels.name) + ", grid " + std::to_string(shape.grid.depth) + "x" +
           std::to_string(shape.grid.height) + "x" + std::to_string(shape.grid.width) + ", " +
           std::to_string(shape.groups) + " groups of " + std::to_string(shape.inputs) + " to " +
           std::to_string(shape.outputs);
}

}  // namespace

TEST_CASE("convolutions behind a norm and a ReLU, with bias and residual") {
    for (const Kernels* kernels : plain::every_kernels())
        for (const Shape& shape : shapes) {
            if (!fits(*kernels, shape)) continue;
            CAPTURE(name(*kernels, shape));
            const auto [grid, groups, inputs, outputs] = shape;
            const plain::Tensor in = plain::tensor(groups * inputs, grid, 1);
            const plain::Tensor rest = plain::tensor(groups * outputs, grid, 2);
            const auto weights = plain::numbers(groups * outputs * inputs * 27, 3);
            const auto scale = plain::numbers(groups * inputs, 4);
            const auto shift = plain::numbers(groups * inputs, 5);
            const auto bias = plain::numbers(groups * outputs, 6);
            plain::Tensor expected =
                plain::convolved(plain::activated(in, scale, shift), weights, groups * outputs, groups, 1);
            plain::add(expected, bias);
            plain::add(expected, rest);

            const int a_word = kernels->channels_a_word;
            const std::int64_t block = block_for(*kernels, outputs);
            const auto packed = convolution_weights(weights, {groups, outputs, inputs, block, a_word});
            const Stored source(in, a_word);
            const Stored residual(rest, a_word);
            Stored target(groups * outputs, grid, a_word);
            Convolution layer{grid,
                              inputs / a_word,
                              outputs,
                              block,
                              packed.data(),
                              source.words.data(),
                              scale.data(),
                              shift.data(),
                              {target.words.data(), false, residual.words.data(), bias.data(), nullptr}};
            const auto moments =
                run_parts(layer, kernels->convolve, {grid, groups, outputs, block, 2},
                          [&](std::int64_t rows) { return convolution_scratch(inputs / a_word, rows, grid.width); });
            CHECK(plain::difference(target.plain(), expected) < plain::tolerance(*kernels));
            check_moments(moments, expected, plain::tolerance(*kernels));
        }
}

TEST_CASE("convolutions of the network's input") {
    for (const Kernels* kernels : plain::every_kernels())
        for (const Shape& shape : shapes) {
            CAPTURE(name(*kernels, shape));
            const Grid grid = shape.grid;
            const std::int64_t groups = 4;
            const std::int64_t outputs = shape.outputs;
            const plain::Tensor in = plain::tensor(groups, grid, 1);
            const auto weights = plain::numbers(groups * outputs * 27, 3);
            const plain::Tensor expected = plain::convolved(in, weights, groups * outputs, groups, 1);

            const int a_word = kernels->channels_a_word;
            const std::int64_t block = block_for(*kernels, outputs);
            const auto packed = first_convolution_weights(weights, {groups, outputs, 1, block, a_word});
            // The user's array: nothing may be read past it.
            const std::vector<float> crop(in.values.begin(), in.values.end());
            Stored target(groups * outputs, grid, a_word);
            FirstConvolution layer{grid,          outputs,     block,
                                   packed.data(), crop.data(), {target.words.data(), false, nullptr, nullptr, nullptr}};
            const auto moments = run_parts(layer, kernels->convolve_first, {grid, groups, outputs, block, 2},
                                           [&](std::int64_t rows) { return convolution_scratch(1, rows, grid.width); });
            CHECK(plain::difference(target.plain(), expected) < plain::tolerance(*kernels));
            check_moments(moments, expected, plain::tolerance(*kernels));
        }
}

TEST_CASE("convolutions with stride 2") {
    for (const Kernels* kernels : plain::every_kernels())
        for (const Shape& shape : even_shapes) {
            if (!fits(*kernels, shape)) continue;
            CAPTURE(name(*kernels, shape));
            const auto [source_grid, groups, inputs, outputs] = shape;
            const Grid grid{source_grid.depth / 2, source_grid.height / 2, source_grid.width / 2};
            const plain::Tensor in = plain::tensor(groups * inputs, source_grid, 1);
            const auto weights = plain::numbers(groups * outputs * inputs * 27, 3);
            const auto bias = plain::numbers(groups * outputs, 6);
            plain::Tensor expected = plain::convolved(in, weights, groups * outputs, groups, 2);
            plain::add(expected, bias);

            const int a_word = kernels->channels_a_word;
            const std::int64_t block = block_for(*kernels, outputs);
            const auto packed = reduction_weights(weights, {groups, outputs, inputs, block, a_word});
            const Stored source(in, a_word);
            Stored target(groups * outputs, grid, a_word);
            Reduction layer{source_grid,
                            grid,
                            inputs / a_word,
                            outputs,
                            block,
                            packed.data(),
                            source.words.data(),
                            {target.words.data(), false, nullptr, bias.data(), nullptr}};
            const auto moments =
                run_parts(layer, kernels->reduce, {grid, groups, outputs, block, 1},
                          [&](std::int64_t rows) { return reduction_scratch(inputs / a_word, rows, grid.width); });
            CHECK(plain::difference(target.plain(), expected) < plain::tolerance(*kernels));
            check_moments(moments, expected, plain::tolerance(*kernels));
        }
}

TEST_CASE("1x1x1 convolutions of a tensor and of the greatest parts of another") {
    for (const Kernels* kernels : plain::every_kernels())
        for (const Shape& shape : shapes) {
            if (!fits(*kernels, shape)) continue;
            CAPTURE(name(*kernels, shape));
            const auto [grid, groups, inputs, outputs] = shape;
            const plain::Tensor first = plain::tensor(2 * inputs, grid, 1);
            const plain::Tensor second = plain::tensor(4 * inputs, grid, 2);
            const auto weights = plain::numbers(outputs * 3 * inputs, 3);
            const auto bias = plain::numbers(outputs, 6);
            plain::Tensor expected = plain::mixed(plain::joined(first, plain::greatest(second, 4)), weights, outputs);
            plain::add(expected, bias);

            const int a_word = kernels->channels_a_word;
            const std::int64_t block = block_for(*kernels, outputs);
            const auto packed = mixture_weights(weights, {1, outputs, 3 * inputs, block, a_word});
            const Stored one(first, a_word);
            const Stored other(second, a_word);
            Stored target(outputs, grid, a_word);
            Mixture layer{grid,
                          3 * inputs / a_word,
                          outputs,
                          block,
                          packed.data(),
                          {{one.words.data(), 2 * inputs / a_word, 1}, {other.words.data(), inputs / a_word, 4}},
                          2,
                          {target.words.data(), false, nullptr, bias.data(), nullptr}};
            const auto moments = run_parts(layer, kernels->mix, {grid, 1, outputs, block, 1}, [&](std::int64_t rows) {
                return mixture_scratch(3 * inputs / a_word, rows, grid.width);
            });
            CHECK(plain::difference(target.plain(), expected) < plain::tolerance(*kernels));
            check_moments(moments, expected, plain::tolerance(*kernels));
        }
}

TEST_CASE("deconvolutions") {
    for (const Kernels* kernels : plain::every_kernels())
        for (const Shape& shape : shapes) {
            if (!fits(*kernels, shape)) continue;
            CAPTURE(name(*kernels, shape));
            const auto [source_grid, groups, inputs, outputs] = shape;
            const Grid grid{2 * source_grid.depth, 2 * source_grid.height, 2 * source_grid.width};
            const plain::Tensor in = plain::tensor(4 * inputs, source_grid, 1);
            const auto weights = plain::numbers(inputs * outputs * 8, 3);
            const auto bias = plain::numbers(outputs, 6);
            plain::Tensor expected = plain::expanded(plain::greatest(in, 4), weights, outputs);
            plain::add(expected, bias);

            const int a_word = kernels->channels_a_word;
            const std::int64_t block = 2 * block_of(outputs, a_word, kernels->widest_block / 2);
            const auto packed = expansion_weights(weights, {1, outputs, inputs, block, a_word});
            const Stored source(in, a_word);
            Stored target(outputs, grid, a_word);
            Expansion layer{source_grid,
                            outputs,
                            block,
                            packed.data(),
                            {source.words.data(), inputs / a_word, 4},
                            {target.words.data(), false, nullptr, bias.data(), nullptr}};
            run_parts(layer, kernels->expand, {source_grid, 1, outputs, block / 2, 1},
                      [&](std::int64_t rows) { return mixture_scratch(inputs / a_word, rows, source_grid.width); });
            CHECK(plain::difference(target.plain(), expected) < plain::tolerance(*kernels));
        }
}

TEST_CASE("classes and their softmax") {
    const Grid grid{2, 3, 7};
    for (const Kernels* kernels : plain::every_kernels()) {
        CAPTURE(std::string(kernels->name));
        const int a_word = kernels->channels_a_word;
        plain::Tensor in = plain::tensor(6, grid, 1);
        // Scores far apart: the softmax is 0 and 1, and nothing overflows.
        for (std::int64_t c = 0; c < 6; ++c) in.at(c, 1, 2, 6) *= 4096.0;
        const auto weights = plain::numbers(24, 3);
        const auto bias = plain::numbers(4, 4);
        plain::Tensor expected = plain::mixed(in, weights, 4);
        plain::add(expected, bias);
        for (std::int64_t i = 0; i < grid.voxels(); ++i) {
            double greatest = -1e300;
            double total = 0.0;
            for (std::int64_t c = 0; c < 4; ++c)
                greatest = std::max(greatest, expected.values[plain::size(c * grid.voxels() + i)]);
            for (std::int64_t c = 0; c < 4; ++c)
                total += std::exp(expected.values[plain::size(c * grid.voxels() + i)] - greatest);
            for (std::int64_t c = 0; c < 4; ++c) {
                double& value = expected.values[plain::size(c * grid.voxels() + i)];
                value = std::exp(value - greatest) / total;
            }
        }
        const auto packed = mixture_weights(weights, {1, 4, 6, 4, a_word});
        const Stored source(in, a_word);
        Stored target(4, grid, a_word);
        plain::Tensor softmax(4, grid);
        std::vector<float> found(softmax.values.size());
        kernels->classify(
            {grid, 6 / a_word, packed.data(), bias.data(), source.words.data(), found.data(), target.words.data()},
            {0, grid.voxels()});
        std::ranges::copy(found, softmax.values.begin());
        // Products of inputs and weights are exact in float32 here.
        CHECK(plain::difference(softmax, expected) < 1e-6);
        CHECK(plain::difference(target.plain(), expected) < plain::tolerance(*kernels));
    }
}

TEST_CASE("a score that is not a number is not one in the softmax either") {
    const Grid grid{1, 1, 3};
    for (const Kernels* kernels : plain::every_kernels()) {
        CAPTURE(std::string(kernels->name));
        plain::Tensor in = plain::tensor(2, grid, 1);
        in.at(0, 0, 0, 1) = std::numeric_limits<double>::quiet_NaN();
        const std::vector<float> weights(8, 1.0F);
        const auto packed = mixture_weights(weights, {1, 4, 2, 4, kernels->channels_a_word});
        const Stored source(in, kernels->channels_a_word);
        std::vector<float> softmax(12);
        kernels->classify(
            {grid, 2 / kernels->channels_a_word, packed.data(), nullptr, source.words.data(), softmax.data(), nullptr},
            {0, 3});
        for (std::size_t c = 0; c < 4; ++c) {
            CHECK(softmax[3 * c] == 0.25F);
            CHECK(std::isnan(softmax[3 * c + 1]));
        }
    }
}

TEST_CASE("moments of a channel far from zero") {
    // Deviations of 1 around 1000: in float32, squares about zero would have lost them.
    const Grid grid{8, 32, 32};
    for (const Kernels* kernels : supported_kernels(1)) {
        CAPTURE(std::string(kernels->name));
        const plain::Tensor in = plain::tensor(2, grid, 1);
        const std::vector<float> weights{1.0F, 0.0F, 0.0F, 1.0F};
        const std::vector<float> bias{1000.0F, -1000.0F};
        plain::Tensor expected = in;
        plain::add(expected, bias);
        const auto packed = mixture_weights(weights, {1, 2, 2, 2, 1});
        const Stored source(in, 1);
        Stored target(2, grid, 1);
        Mixture layer{grid,
                      2,
                      2,
                      2,
                      packed.data(),
                      {{source.words.data(), 2, 1}},
                      1,
                      {target.words.data(), false, nullptr, bias.data(), nullptr}};
        const auto moments = run_parts(layer, kernels->mix, {grid, 1, 2, 2, 1},
                                       [&](std::int64_t rows) { return mixture_scratch(2, rows, grid.width); });
        for (std::int64_t c = 0; c < 2; ++c) {
            const std::vector<Moments> own{moments[plain::size(c)]};
            plain::Tensor channel(1, grid);
            std::copy_n(expected.values.begin() + c * grid.voxels(), grid.voxels(), channel.values.begin());
            double mean = 0.0;
            for (const double value : channel.values) mean += value / static_cast<double>(grid.voxels());
            double squares = 0.0;
            for (const double value : channel.values) squares += (value - mean) * (value - mean);
            // The bias itself rounds the values to 2^-14.
            CHECK(own[0].squares == doctest::Approx(squares).epsilon(1e-4));
            CHECK(own[0].mean == doctest::Approx(mean).epsilon(1e-7));
        }
    }
}
