#include "kernel_runs.hpp"

using namespace brats;
using namespace brats::network;
using plain::block_for;
using plain::Shape;
using plain::Stored;

namespace {

struct Activation {
    std::vector<float> scale, shift;
};

// A convolution behind a norm, with everything that may be added to it; and its plain answer.
struct Behind {
    Stored target;
    plain::Tensor expected;
    std::vector<Moments> moments;
};

Behind convolve(const Kernels& kernels, const Shape& shape, const Activation& activation) {
    const auto [grid, groups, inputs, outputs] = shape;
    const plain::Tensor in = plain::tensor(groups * inputs, grid, 1);
    const plain::Tensor rest = plain::tensor(groups * outputs, grid, 2);
    const auto weights = plain::numbers(groups * outputs * inputs * 27, 3);
    const auto bias = plain::numbers(groups * outputs, 6);
    plain::Tensor expected = plain::convolved(plain::activated(in, activation.scale, activation.shift), weights,
                                              groups * outputs, groups, 1);
    plain::add(expected, bias);
    plain::add(expected, rest);

    const int a_word = kernels.channels_a_word;
    const std::int64_t words = inputs / a_word;
    const std::int64_t block = block_for(kernels, outputs);
    const auto packed = convolution_weights(weights, {groups, outputs, inputs, block, a_word});
    const Stored source(in, a_word);
    const Stored residual(rest, a_word);
    Stored target(groups * outputs, grid, a_word);
    Convolution layer{grid,
                      words,
                      outputs,
                      block,
                      packed.data(),
                      source.words.data(),
                      activation.scale.data(),
                      activation.shift.data(),
                      {target.words.data(), plain::may_stream(grid), residual.words.data(), bias.data(), nullptr}};
    const auto moments =
        plain::run_parts(layer, kernels.convolve, {grid, groups, outputs, block, 2},
                         [=](std::int64_t rows) { return convolution_scratch(words, rows, grid.width); });
    return {target, expected, moments};
}

}  // namespace

TEST_CASE("convolutions behind a norm and a ReLU, with bias and residual") {
    for (const Kernels* kernels : plain::every_kernels())
        for (const Shape& shape : plain::shapes) {
            if (!plain::fits(*kernels, shape)) continue;
            CAPTURE(plain::name(*kernels, shape));
            Activation activation{plain::numbers(shape.groups * shape.inputs, 4),
                                  plain::numbers(shape.groups * shape.inputs, 5)};
            for (float& scale : activation.scale) scale = scale < 0.0F ? -1.0F : 1.0F;
            const Behind made = convolve(*kernels, shape, activation);
            plain::check_exact(made.target, made.expected);
            plain::check_moments(made.moments, made.expected);
        }
}

TEST_CASE("convolutions of what words round") {
    for (const Kernels* kernels : plain::every_kernels())
        for (const Shape& shape : plain::shapes) {
            if (!plain::fits(*kernels, shape)) continue;
            CAPTURE(plain::name(*kernels, shape));
            const Behind made = convolve(
                *kernels, shape,
                {plain::numbers(shape.groups * shape.inputs, 4), plain::numbers(shape.groups * shape.inputs, 5)});
            // In float32, sums of up to some thousand products lose less than 1e-5 of the largest. In bfloat16 a tile's
            // words are rounded by up to 2^-8 of themselves, and the errors add up as random ones; so is the output.
            const double tolerance = kernels->channels_a_word == 1 ? 1e-5 : 1.2e-2;
            CHECK(plain::difference(made.target.plain(), made.expected) < tolerance);
            plain::check_moments(made.moments, made.expected, tolerance);
        }
}

TEST_CASE("convolutions of the network's input") {
    for (const Kernels* kernels : plain::every_kernels())
        for (const Shape& shape : plain::shapes) {
            if (shape.outputs % kernels->channels_a_word != 0) continue;
            CAPTURE(plain::name(*kernels, shape));
            const Grid grid = shape.grid;
            const std::int64_t groups = 4;
            const std::int64_t outputs = shape.outputs;
            const plain::Tensor in = plain::tensor(groups, grid, 1);
            const auto weights = plain::numbers(groups * outputs * 27, 3);
            const auto bias = plain::numbers(groups * outputs, 6);
            plain::Tensor expected = plain::convolved(in, weights, groups * outputs, groups, 1);
            plain::add(expected, bias);

            const int a_word = kernels->channels_a_word;
            const std::int64_t block = block_for(*kernels, outputs);
            const auto packed = first_convolution_weights(weights, {groups, outputs, 1, block, a_word});
            // The user's array: nothing may be read past it.
            const std::vector<float> crop(in.values.begin(), in.values.end());
            Stored target(groups * outputs, grid, a_word);
            FirstConvolution layer{
                grid,        outputs,
                block,       packed.data(),
                crop.data(), {target.words.data(), plain::may_stream(grid), nullptr, bias.data(), nullptr}};
            const auto moments =
                plain::run_parts(layer, kernels->convolve_first, {grid, groups, outputs, block, 2},
                                 [=](std::int64_t rows) { return convolution_scratch(1, rows, grid.width); });
            plain::check_exact(target, expected);
            plain::check_moments(moments, expected);
        }
}

TEST_CASE("convolutions with stride 2") {
    for (const Kernels* kernels : plain::every_kernels())
        for (const Shape& shape : plain::even_shapes) {
            if (!plain::fits(*kernels, shape)) continue;
            CAPTURE(plain::name(*kernels, shape));
            const auto [source_grid, groups, inputs, outputs] = shape;
            const Grid grid{source_grid.depth / 2, source_grid.height / 2, source_grid.width / 2};
            const plain::Tensor in = plain::tensor(groups * inputs, source_grid, 1);
            const auto weights = plain::numbers(groups * outputs * inputs * 27, 3);
            const auto bias = plain::numbers(groups * outputs, 6);
            plain::Tensor expected = plain::convolved(in, weights, groups * outputs, groups, 2);
            plain::add(expected, bias);

            const int a_word = kernels->channels_a_word;
            const std::int64_t words = inputs / a_word;
            const std::int64_t block = block_for(*kernels, outputs);
            const auto packed = reduction_weights(weights, {groups, outputs, inputs, block, a_word});
            const Stored source(in, a_word);
            Stored target(groups * outputs, grid, a_word);
            Reduction layer{source_grid,
                            grid,
                            words,
                            outputs,
                            block,
                            packed.data(),
                            source.words.data(),
                            {target.words.data(), plain::may_stream(grid), nullptr, bias.data(), nullptr}};
            const auto moments =
                plain::run_parts(layer, kernels->reduce, {grid, groups, outputs, block, 1},
                                 [=](std::int64_t rows) { return reduction_scratch(words, rows, grid.width); });
            plain::check_exact(target, expected);
            plain::check_moments(moments, expected);
        }
}
