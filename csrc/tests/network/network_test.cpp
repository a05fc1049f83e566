#include "../../network/network.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>

#include "stored.hpp"

using namespace brats;
using namespace brats::network;

namespace {

// A small U-Net with every kind of layer, and the same in the plain way.
struct Small {
    Grid grid{8, 8, 16};
    std::vector<float> first = plain::numbers(216, 1);
    std::vector<float> inner = plain::numbers(432, 2);
    std::vector<float> down = plain::numbers(432, 3);
    std::vector<float> up = plain::numbers(64, 4);
    std::vector<float> mixing = plain::numbers(24, 5);
    std::vector<float> pooled = plain::numbers(216, 6);
    std::vector<float> classes = plain::numbers(16, 7);
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

    [[nodiscard]] plain::Tensor answer(const plain::Tensor& crop) const {
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
        const plain::Tensor high = plain::expanded(plain::greatest(both, 4), up, 4);
        plain::Tensor scores =
            plain::mixed(plain::mixed(plain::joined(high, plain::greatest(block, 4)), mixing, 4), classes, 4);
        const auto voxels = crop.grid.voxels();
        for (std::int64_t i = 0; i < voxels; ++i) {
            double greatest = -1e300;
            double total = 0.0;
            for (std::int64_t c = 0; c < 4; ++c)
                greatest = std::max(greatest, scores.values[plain::size(c * voxels + i)]);
            for (std::int64_t c = 0; c < 4; ++c)
                total += std::exp(scores.values[plain::size(c * voxels + i)] - greatest);
            for (std::int64_t c = 0; c < 4; ++c) {
                double& value = scores.values[plain::size(c * voxels + i)];
                value = std::exp(value - greatest) / total;
            }
        }
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

TEST_CASE("a small network gives what its layers give in the plain way") {
    const Small small;
    const plain::Tensor crop = plain::tensor(4, small.grid, 11);
    const plain::Tensor expected = small.answer(crop);
    const std::vector<float> input(crop.values.begin(), crop.values.end());
    for (const Kernels* kernels : supported_kernels(1)) {
        CAPTURE(std::string(kernels->name));
        const std::vector<float> softmax = run(*kernels, small, input, 2);
        plain::Tensor found(4, small.grid);
        std::ranges::copy(softmax, found.values.begin());
        // The scores are sums of some hundreds, whose float32 rounding the softmax makes this of.
        CHECK(plain::difference(found, expected) < 1e-3);
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
}
