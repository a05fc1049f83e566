#include "../../network/network.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <stdexcept>
#include <string>

#include "stored.hpp"

using namespace brats;
using namespace brats::network;

namespace {

// So that scores are of the order of 1, as a softmax needs to show them.
std::vector<float> shrunk(std::vector<float> weights) {
    for (float& weight : weights) weight /= 256.0F;
    return weights;
}

// A small U-Net with every kind of layer, and the same in the plain way.
struct Small {
    Grid grid{8, 8, 16};
    std::vector<float> first = plain::numbers(216, 1);
    std::vector<float> inner = plain::numbers(432, 2);
    std::vector<float> down = plain::numbers(432, 3);
    std::vector<float> up = plain::numbers(64, 4);
    std::vector<float> mixing = plain::numbers(24, 5);
    std::vector<float> pooled = plain::numbers(216, 6);
    std::vector<float> classes = shrunk(plain::numbers(16, 7));
    std::vector<float> gamma = plain::numbers(8, 8);
    std::vector<float> beta = plain::numbers(8, 9);

    int build(Network& network) const {
        const int head = network.convolve_first(Network::input(), first, {});
        const int block = network.convolve(head, {gamma, beta, 1e-3F}, 4, inner, {}, head);
        const int low = network.reduce(block, 4, down, {});
        const int means = network.convolve_first(network.average(Network::input()), pooled, {});
        const int both = network.convolve(low, {gamma, beta, 1e-3F}, 4, inner, {}, means);
        const int high = network.expand({both, 4}, up, {});
        const std::vector<Reference> sources{{high, 1}, {block, 4}};
        return network.classify(network.mix(sources, mixing, {}), classes, {});
    }

    [[nodiscard]] plain::Tensor normalised(const plain::Tensor& in) const {
        std::vector<float> scale;
        std::vector<float> shift;
        const auto voxels = in.grid.voxels();
        for (std::int64_t c = 0; c < in.channels; ++c) {
            const double* const channel = in.values.data() + c * voxels;
            double mean = 0.0;
            double variance = 0.0;
            for (std::int64_t i = 0; i < voxels; ++i) mean += channel[i] / static_cast<double>(voxels);
            for (std::int64_t i = 0; i < voxels; ++i)
                variance += (channel[i] - mean) * (channel[i] - mean) / static_cast<double>(voxels);
            scale.push_back(
                static_cast<float>(static_cast<double>(gamma[plain::size(c)]) / std::sqrt(variance + 1e-3)));
            shift.push_back(static_cast<float>(static_cast<double>(beta[plain::size(c)]) -
                                               mean * static_cast<double>(scale.back())));
        }
        return plain::activated(in, scale, shift);
    }

    [[nodiscard]] plain::Tensor answer(const plain::Tensor& crop, std::uint32_t absent = 0) const {
        const plain::Tensor head = plain::convolved(crop, first, 8, 4, 1);
        plain::Tensor block = plain::convolved(normalised(head), inner, 8, 4, 1);
        plain::add(block, head);
        const plain::Tensor low = plain::convolved(block, down, 8, 4, 2);
        plain::Tensor halves(4, low.grid);
        for (std::int64_t c = 0; c < 4; ++c)
            for (std::int64_t z = 0; z < crop.grid.depth; ++z)
                for (std::int64_t y = 0; y < crop.grid.height; ++y)
                    for (std::int64_t x = 0; x < crop.grid.width; ++x)
                        halves.at(c, z / 2, y / 2, x / 2) += crop.padded(c, z, y, x) / 8.0;
        plain::Tensor both = plain::convolved(normalised(low), inner, 8, 4, 1);
        plain::add(both, plain::convolved(halves, pooled, 8, 4, 1));
        const plain::Tensor high = plain::expanded(plain::greatest(both, 4, absent), up, 4);
        plain::Tensor scores =
            plain::mixed(plain::mixed(plain::joined(high, plain::greatest(block, 4, absent)), mixing, 4), classes, 4);
        plain::take_softmax(scores);
        return scores;
    }
};

std::vector<float> run(const Kernels& kernels, const Small& small, const std::vector<float>& crop, int threads) {
    Network network(kernels, small.grid, threads);
    small.build(network);
    std::vector<float> softmax(crop.size(), -1.0F);
    network.run(crop.data(), softmax.data());
    // Again: no state is left behind.
    std::vector<float> second(crop.size(), -1.0F);
    network.run(crop.data(), second.data());
    CHECK(softmax == second);
    return softmax;
}

}  // namespace

plain::Tensor as_tensor(const std::vector<float>& softmax, const Grid& grid) {
    plain::Tensor made(4, grid);
    std::ranges::copy(softmax, made.values.begin());
    return made;
}

TEST_CASE("a small network gives what its layers give in the plain way") {
    // One grid whose rows are cut into vectors evenly, one that leaves rests.
    for (const Grid& grid : {Grid{8, 8, 16}, Grid{4, 12, 20}}) {
        Small small;
        small.grid = grid;
        const plain::Tensor crop = plain::tensor(4, small.grid, 11);
        const plain::Tensor expected = small.answer(crop);
        const std::vector<float> input(crop.values.begin(), crop.values.end());
        for (const Kernels* kernels : plain::every_kernels()) {
            CAPTURE(std::string(kernels->name));
            // Scores are sums of a hundred in float32, over 256. In bfloat16 each of five layers rounds by up to 2^-8
            // of its values, which are of the order of the scores.
            const double tolerance = kernels->channels_a_word == 1 ? 1e-5 : 0.1;
            const auto found = as_tensor(run(*kernels, small, input, 2), small.grid);
            CHECK(plain::difference(found, expected) < tolerance);
        }
    }
}

TEST_CASE("absent channels take no part in any maximum, whatever they hold") {
    const Small small;
    const plain::Tensor crop = plain::tensor(4, small.grid, 11);
    for (const Kernels* kernels : plain::every_kernels()) {
        const double tolerance = kernels->channels_a_word == 1 ? 1e-5 : 0.1;
        Network network(*kernels, small.grid, 2);
        small.build(network);
        std::vector<float> input(crop.values.begin(), crop.values.end());
        const std::vector<float> complete = run(*kernels, small, input, 2);
        std::vector<float> found(input.size());
        std::vector<float> again(input.size());
        for (std::uint32_t absent = 1; absent < 15; ++absent) {
            CAPTURE(std::string(kernels->name));
            CAPTURE(absent);
            network.run(input.data(), found.data(), absent);
            CHECK(plain::difference(as_tensor(found, small.grid), small.answer(crop, absent)) < tolerance);
            CHECK(found != complete);
            std::vector<float> other = input;
            for (std::size_t channel = 0; channel < 4; ++channel)
                if ((absent >> channel & 1U) != 0)
                    std::fill_n(other.begin() + static_cast<std::ptrdiff_t>(channel * input.size() / 4),
                                input.size() / 4, 7.0F);
            network.run(other.data(), again.data(), absent);
            CHECK(again == found);
        }
        network.run(input.data(), again.data());
        CHECK(again == complete);
        CHECK_THROWS_AS(network.run(input.data(), again.data(), 15), std::invalid_argument);
        CHECK_THROWS_AS(network.run(input.data(), again.data(), 16), std::invalid_argument);
    }
}

TEST_CASE("a tensor keeps its memory until it was read last, and gives it away then") {
    // Of six layers, each of the one before; the last reads them all. Weights are powers of 2: everything is exact.
    const Grid grid{2, 4, 20};
    const std::vector<float> identity{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
    std::vector<float> spread(std::size_t{4} * 16);
    for (std::size_t c = 0; c < 4; ++c)
        for (std::size_t source = 0; source < 4; ++source)
            spread[c * 16 + source * 4 + c] = std::ldexp(1.0F, static_cast<int>(source) - 4);
    std::vector<float> centre(std::size_t{4} * 27);
    for (std::size_t c = 0; c < 4; ++c) centre[c * 27 + 13] = 1.0F;
    const plain::Tensor crop = plain::tensor(4, grid, 11);
    const std::vector<float> input(crop.values.begin(), crop.values.end());
    for (const Kernels* kernels : supported_kernels(1)) {
        CAPTURE(std::string(kernels->name));
        Network network(*kernels, grid, 2);
        const int first = network.convolve_first(Network::input(), centre, {});
        // Each adds a number of its own, so that none may be mistaken for another.
        const auto next = [&](int tensor, float more) {
            const std::vector<Reference> source{{tensor, 1}};
            const std::vector<float> bias(4, more);
            return network.mix(source, identity, bias);
        };
        const int second = next(first, 1.0F);
        const int third = next(second, 2.0F);
        int last = third;
        for (int i = 0; i < 6; ++i) last = next(last, 4.0F);
        const std::vector<Reference> all{{first, 1}, {third, 1}, {second, 1}, {last, 1}};
        network.classify(network.mix(all, spread, {}), identity, {});
        std::vector<float> softmax(input.size());
        network.run(input.data(), softmax.data());

        plain::Tensor expected = crop;
        for (std::size_t i = 0; i < expected.values.size(); ++i) {
            const double x = crop.values[i];
            expected.values[i] = x / 16 + (x + 3) / 8 + (x + 1) / 4 + (x + 27) / 2;
        }
        plain::take_softmax(expected);
        CHECK(plain::difference(as_tensor(softmax, grid), expected) < 1e-6);
        // Five tensors are there at a time, of twelve.
        const std::int64_t tensor = grid.voxels() * 4 * 4;
        CHECK(network.bytes() > 5 * tensor);
        CHECK(network.bytes() < 7 * tensor);
    }
}

TEST_CASE("a norm sees channels far from zero as they are") {
    const Grid grid{8, 16, 24};
    const plain::Tensor crop = plain::tensor(4, grid, 11);
    const std::vector<float> input(crop.values.begin(), crop.values.end());
    std::vector<float> centre(std::size_t{4} * 27);
    for (std::size_t c = 0; c < 4; ++c) centre[c * 27 + 13] = 1.0F;
    const std::vector<float> identity{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
    // A thousand times the deviation, of either sign.
    const std::vector<float> far{512.0F, -512.0F, 256.0F, 0.0F};
    const std::vector<float> gamma(4, 1.0F);
    const std::vector<float> beta(4, 4.0F);
    plain::Tensor expected = crop;
    for (std::int64_t c = 0; c < 4; ++c) {
        double* const channel = expected.values.data() + c * grid.voxels();
        const auto count = static_cast<double>(grid.voxels());
        double mean = 0.0;
        double variance = 0.0;
        for (std::int64_t i = 0; i < grid.voxels(); ++i) mean += channel[i] / count;
        for (std::int64_t i = 0; i < grid.voxels(); ++i) variance += std::pow(channel[i] - mean, 2) / count;
        for (std::int64_t i = 0; i < grid.voxels(); ++i)
            channel[i] = std::max(0.0, (channel[i] - mean) / std::sqrt(variance + 1e-5) + 4.0);
    }
    plain::take_softmax(expected);
    for (const Kernels* kernels : supported_kernels(1)) {
        CAPTURE(std::string(kernels->name));
        Network network(*kernels, grid, 1);
        const int raised = network.convolve_first(Network::input(), centre, far);
        network.classify(network.convolve(raised, {gamma, beta, 1e-5F}, 4, centre, {}, none), identity, {});
        std::vector<float> softmax(input.size());
        network.run(input.data(), softmax.data());
        // Scale and shift are float32: their difference loses 2^-24 of a thousand deviations.
        CHECK(plain::difference(as_tensor(softmax, grid), expected) < 5e-4);
    }
}

TEST_CASE("the number of threads changes no bit") {
    const Small small;
    const std::vector<float> crop = plain::numbers(4 * small.grid.voxels(), 11);
    for (const Kernels* kernels : plain::every_kernels()) {
        CAPTURE(std::string(kernels->name));
        const std::vector<float> alone = run(*kernels, small, crop, 1);
        for (const int threads : {2, 3, 7}) CHECK(run(*kernels, small, crop, threads) == alone);
    }
}

TEST_CASE("layers that do not fit are refused") {
    const Small small;
    const Kernels& kernels = *supported_kernels(1).back();
    Network network(kernels, small.grid, 1);
    const int head = network.convolve_first(Network::input(), small.first, {});
    const Norm norm{small.gamma, small.beta, 1e-3F};
    const std::vector<float> three(3);
    CHECK_THROWS_AS(network.convolve(99, norm, 4, small.inner, {}, none), std::invalid_argument);
    CHECK_THROWS_AS(network.convolve(Network::input(), norm, 4, small.inner, {}, none), std::invalid_argument);
    CHECK_THROWS_AS(network.convolve(head, norm, 3, small.inner, {}, none), std::invalid_argument);
    CHECK_THROWS_AS(network.convolve(head, {three, three, 1e-3F}, 4, small.inner, {}, none), std::invalid_argument);
    CHECK_THROWS_AS(network.convolve(head, {{}, {}, 1e-3F}, 4, small.inner, {}, none), std::invalid_argument);
    CHECK_THROWS_AS(network.convolve_first(head, small.first, {}), std::invalid_argument);
    CHECK_THROWS_AS(network.average(head), std::invalid_argument);
    CHECK_THROWS_AS(network.reduce(head, 4, small.down, three), std::invalid_argument);
    CHECK_THROWS_AS(network.classify(head, three, {}), std::invalid_argument);
    const int low = network.reduce(head, 4, small.down, {});
    const std::vector<Reference> two_grids{{head, 1}, {low, 1}};
    CHECK_THROWS_AS(network.mix(two_grids, small.mixing, {}), std::invalid_argument);
    CHECK_THROWS_AS(network.mix({}, small.mixing, {}), std::invalid_argument);
    CHECK_THROWS_AS(network.expand({low, 3}, small.up, {}), std::invalid_argument);
    CHECK_THROWS_AS(network.convolve(low, norm, 4, small.inner, {}, head), std::invalid_argument);
    CHECK_THROWS_AS(Network(kernels, {0, 8, 8}, 1), std::invalid_argument);
    CHECK_THROWS_AS(Network(kernels, {8, 8, std::int64_t{1} << 40}, 1), std::invalid_argument);
}

TEST_CASE("what would divide by zero or not be finite is refused") {
    const Small small;
    Network network(*supported_kernels(1).back(), small.grid, 1);
    const int head = network.convolve_first(Network::input(), small.first, {});
    const Norm norm{small.gamma, small.beta, 1e-3F};
    CHECK_THROWS_AS(network.convolve_first(Network::input(), {}, {}), std::invalid_argument);
    CHECK_THROWS_AS(network.convolve(head, norm, 4, {}, {}, none), std::invalid_argument);
    CHECK_THROWS_AS(network.convolve(head, norm, 0, small.inner, {}, none), std::invalid_argument);
    CHECK_THROWS_AS(network.reduce(head, 4, {}, {}), std::invalid_argument);
    CHECK_THROWS_AS(network.classify(head, {}, {}), std::invalid_argument);
    for (const std::int64_t parts :
         {std::int64_t{0}, std::int64_t{-1}, std::int64_t{16}, std::numeric_limits<std::int64_t>::max()}) {
        const std::vector<Reference> source{{head, parts}};
        CHECK_THROWS_AS(network.mix(source, small.mixing, {}), std::invalid_argument);
        CHECK_THROWS_AS(network.expand(source[0], small.up, {}), std::invalid_argument);
    }
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        std::vector<float> weights = small.inner;
        weights[3] = bad;
        std::vector<float> gamma = small.gamma;
        gamma[1] = bad;
        CHECK_THROWS_AS(network.convolve(head, norm, 4, weights, {}, none), std::invalid_argument);
        CHECK_THROWS_AS(network.convolve(head, {gamma, small.beta, 1e-3F}, 4, small.inner, {}, none),
                        std::invalid_argument);
        CHECK_THROWS_AS(network.convolve(head, {small.gamma, small.beta, bad}, 4, small.inner, {}, none),
                        std::invalid_argument);
    }
    CHECK_THROWS_AS(network.convolve(head, {small.gamma, small.beta, -1e-3F}, 4, small.inner, {}, none),
                    std::invalid_argument);
}

TEST_CASE("a norm of what counts no moments is refused") {
    const Small small;
    Network network(*supported_kernels(1).back(), small.grid, 1);
    const int head = network.convolve_first(Network::input(), small.first, {});
    const int high = network.expand({network.reduce(head, 4, small.down, {}), 4}, small.up, {});
    const std::vector<float> four(4, 1.0F);
    const std::vector<float> weights = plain::numbers(432, 2);
    CHECK_THROWS_AS(network.convolve(high, {four, four, 1e-3F}, 1, weights, {}, none), std::invalid_argument);
    const int classes = network.classify(high, small.classes, {});
    CHECK_THROWS_AS(network.convolve(classes, {four, four, 1e-3F}, 1, weights, {}, none), std::invalid_argument);
}

TEST_CASE("a network that does not end in classes on the input's grid is not run") {
    const Small small;
    std::vector<float> values(plain::size(4 * small.grid.voxels()));
    Network network(*supported_kernels(1).back(), small.grid, 1);
    const auto run = [&] { network.run(values.data(), values.data()); };
    CHECK_THROWS_AS(run(), std::invalid_argument);
    const int head = network.convolve_first(Network::input(), small.first, {});
    CHECK_THROWS_AS(run(), std::invalid_argument);
    network.classify(network.reduce(head, 4, small.down, {}), plain::numbers(32, 1), {});
    CHECK_THROWS_AS(run(), std::invalid_argument);
    network.classify(head, plain::numbers(32, 1), {});
    run();
    double sum = 0.0;
    for (const float value : values) sum += static_cast<double>(value);
    CHECK(sum == doctest::Approx(static_cast<double>(small.grid.voxels())));
}
