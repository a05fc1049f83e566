#include "kernel_runs.hpp"

using namespace brats;
using namespace brats::network;
using plain::block_for;
using plain::Shape;
using plain::Stored;

TEST_CASE("1x1x1 convolutions of a tensor and of the greatest parts of others") {
    for (const Kernels* kernels : plain::every_kernels())
        for (const Shape& shape : plain::shapes) {
            if (!plain::fits(*kernels, shape)) continue;
            CAPTURE(plain::name(*kernels, shape));
            const auto [grid, groups, inputs, outputs] = shape;
            const plain::Tensor first = plain::tensor(2 * inputs, grid, 1);
            const plain::Tensor second = plain::tensor(4 * inputs, grid, 2);
            const plain::Tensor third = plain::tensor(2 * inputs, grid, 7);
            const std::int64_t all = 4 * inputs;
            const auto weights = plain::numbers(outputs * all, 3);
            const auto bias = plain::numbers(outputs, 6);
            plain::Tensor expected =
                plain::mixed(plain::joined(plain::joined(first, plain::greatest(second, 4)), plain::greatest(third, 2)),
                             weights, outputs);
            plain::add(expected, bias);

            const int a_word = kernels->channels_a_word;
            const std::int64_t words = inputs / a_word;
            const std::int64_t block = block_for(*kernels, outputs);
            const auto packed = mixture_weights(weights, {1, outputs, all, block, a_word});
            const Stored one(first, a_word);
            const Stored other(second, a_word);
            const Stored last(third, a_word);
            Stored target(outputs, grid, a_word);
            Mixture layer{grid,
                          4 * words,
                          outputs,
                          block,
                          packed.data(),
                          {{one.words.data(), 2 * words, 1, 0},
                           {other.words.data(), words, 4, 0},
                           {last.words.data(), words, 2, 0}},
                          3,
                          {target.words.data(), plain::may_stream(grid), nullptr, bias.data(), nullptr}};
            const auto moments =
                plain::run_parts(layer, kernels->mix, {grid, 1, outputs, block, 1},
                                 [=](std::int64_t rows) { return mixture_scratch(4 * words, rows, grid.width); });
            plain::check_exact(target, expected);
            plain::check_moments(moments, expected);
        }
}

TEST_CASE("deconvolutions") {
    for (const Kernels* kernels : plain::every_kernels())
        for (const Shape& shape : plain::shapes) {
            if (!plain::fits(*kernels, shape)) continue;
            CAPTURE(plain::name(*kernels, shape));
            const auto [source_grid, groups, inputs, outputs] = shape;
            const Grid grid{2 * source_grid.depth, 2 * source_grid.height, 2 * source_grid.width};
            const plain::Tensor in = plain::tensor(4 * inputs, source_grid, 1);
            const auto weights = plain::numbers(inputs * outputs * 8, 3);
            const auto bias = plain::numbers(outputs, 6);
            plain::Tensor expected = plain::expanded(plain::greatest(in, 4), weights, outputs);
            plain::add(expected, bias);

            const int a_word = kernels->channels_a_word;
            const std::int64_t words = inputs / a_word;
            const std::int64_t block = 2 * block_of(outputs, a_word, kernels->widest_block / 2);
            const auto packed = expansion_weights(weights, {1, outputs, inputs, block, a_word});
            const Stored source(in, a_word);
            Stored target(outputs, grid, a_word);
            Expansion layer{source_grid,
                            outputs,
                            block,
                            packed.data(),
                            {source.words.data(), words, 4, 0},
                            {target.words.data(), plain::may_stream(grid), nullptr, bias.data(), nullptr}};
            const std::int64_t width = source_grid.width;
            plain::run_parts(layer, kernels->expand, {source_grid, 1, outputs, block / 2, 1},
                             [=](std::int64_t rows) { return mixture_scratch(words, rows, width); });
            plain::check_exact(target, expected);
        }
}

TEST_CASE("a maximum of which one is not a number is none, whichever it is") {
    const Grid grid{1, 2, 20};
    for (const Kernels* kernels : plain::every_kernels()) {
        CAPTURE(std::string(kernels->name));
        const int a_word = kernels->channels_a_word;
        plain::Tensor in = plain::tensor(8, grid, 1);
        // Of each of four parts of two channels, at another voxel.
        for (std::int64_t part = 0; part < 4; ++part)
            in.at(2 * part, 0, 0, 3 + part) = std::numeric_limits<double>::quiet_NaN();
        const std::vector<float> weights{1.0F, 0.0F, 1.0F, 0.0F};
        const auto packed = mixture_weights(weights, {1, 2, 2, 2, a_word});
        const Stored source(in, a_word);
        Stored target(2, grid, a_word);
        Mixture layer{grid,
                      2 / a_word,
                      2,
                      2,
                      packed.data(),
                      {{source.words.data(), 2 / a_word, 4, 0}},
                      1,
                      {target.words.data(), false, nullptr, nullptr, nullptr}};
        plain::run_parts(layer, kernels->mix, {grid, 1, 2, 2, 1},
                         [=](std::int64_t rows) { return mixture_scratch(2 / a_word, rows, grid.width); });
        const plain::Tensor found = target.plain();
        for (std::int64_t x = 0; x < grid.width; ++x) CHECK(std::isnan(found.padded(0, 0, 0, x)) == (x >= 3 && x < 7));
    }
}

TEST_CASE("moments of a channel whose mean is a thousand times its deviation") {
    // In float32, squares about zero would have lost the deviations.
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
                      {{source.words.data(), 2, 1, 0}},
                      1,
                      {target.words.data(), false, nullptr, bias.data(), nullptr}};
        const auto moments = plain::run_parts(layer, kernels->mix, {grid, 1, 2, 2, 1},
                                              [=](std::int64_t rows) { return mixture_scratch(2, rows, grid.width); });
        // The values, multiples of 2^-6, are exact. What is left is the rounding of some hundred sums of squares.
        for (std::int64_t c = 0; c < 2; ++c) {
            const std::int64_t voxels = grid.voxels();
            double mean = 0.0;
            for (std::int64_t i = 0; i < voxels; ++i)
                mean += expected.values[plain::size(c * voxels + i)] / static_cast<double>(voxels);
            double squares = 0.0;
            for (std::int64_t i = 0; i < voxels; ++i)
                squares += std::pow(expected.values[plain::size(c * voxels + i)] - mean, 2);
            CHECK(moments[plain::size(c)].squares == doctest::Approx(squares).epsilon(1e-5));
            CHECK(moments[plain::size(c)].mean == doctest::Approx(mean).epsilon(1e-9));
        }
    }
}
