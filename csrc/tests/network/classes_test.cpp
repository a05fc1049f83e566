#include <doctest/doctest.h>

#include <limits>
#include <string>

#include "../../network/weights.hpp"
#include "stored.hpp"

using namespace brats;
using namespace brats::network;
using plain::Stored;

namespace {

constexpr double ulp = 0x1p-23;  // of 1, in float32

// The softmax of scores as they are: four channels, one a class.
std::vector<float> softmax(const Kernels& kernels, const plain::Tensor& scores) {
    const std::vector<float> identity{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
    const auto packed = mixture_weights(identity, {1, 4, 4, 4, kernels.channels_a_word});
    const Stored source(scores, kernels.channels_a_word);
    std::vector<float> made(scores.values.size(), -1.0F);
    kernels.classify(
        {scores.grid, 4 / kernels.channels_a_word, packed.data(), nullptr, source.words.data(), made.data(), nullptr},
        {0, scores.grid.voxels()});
    return made;
}

// A row of voxels, each of the scores 0, the given one and two that are out of the running.
plain::Tensor against_zero(const std::vector<double>& scores) {
    plain::Tensor made(4, {1, 1, static_cast<std::int64_t>(scores.size())});
    for (std::size_t i = 0; i < scores.size(); ++i) {
        const auto x = static_cast<std::int64_t>(i);
        made.at(1, 0, 0, x) = scores[i];
        made.at(2, 0, 0, x) = made.at(3, 0, 0, x) = -1024.0;
    }
    return made;
}

}  // namespace

TEST_CASE("classes of a layer and their softmax, into a user's array and into words") {
    // Whole vectors, a rest, and fewer voxels than a vector has lanes.
    for (const Grid& grid : {Grid{2, 3, 7}, Grid{1, 4, 16}, Grid{1, 1, 1}})
        for (const Kernels* kernels : plain::every_kernels()) {
            CAPTURE(std::string(kernels->name));
            const int a_word = kernels->channels_a_word;
            const plain::Tensor in = plain::tensor(6, grid, 1);
            const auto weights = plain::numbers(24, 3);
            const auto bias = plain::numbers(4, 4);
            plain::Tensor expected = plain::mixed(in, weights, 4);
            plain::add(expected, bias);
            plain::take_softmax(expected);
            const auto packed = mixture_weights(weights, {1, 4, 6, 4, a_word});
            const Stored source(in, a_word);
            Stored target(4, grid, a_word);
            plain::Tensor softmax(4, grid);
            std::vector<float> found(softmax.values.size());
            const Classification layer{
                grid, 6 / a_word, packed.data(), bias.data(), source.words.data(), found.data(), target.words.data()};
            kernels->classify(layer, {0, grid.voxels()});
            std::ranges::copy(found, softmax.values.begin());
            // Scores are exact: left are exponentials, their sum and a quotient.
            CHECK(plain::difference(softmax, expected) < 6 * ulp);
            // And what a word of two channels rounds.
            for (std::size_t i = 0; i < found.size(); ++i)
                CHECK(target.plain().values[i] == plain::rounded(static_cast<double>(found[i]), a_word));
            CHECK(target.slack_is_untouched());
        }
}

TEST_CASE("exponentials are right to two units in the last place") {
    std::vector<double> scores;
    // Down to where float32 has no normal numbers left; with few enough bits for either kind of word.
    for (int octave = -6; octave < 6; ++octave)
        for (int i = 128; i < 256; ++i) scores.push_back(-std::ldexp(i, octave - 7));
    for (int halves = 128; halves <= 174; ++halves) scores.push_back(-0.5 * halves);
    for (const Kernels* kernels : plain::every_kernels()) {
        CAPTURE(std::string(kernels->name));
        const auto found = softmax(*kernels, against_zero(scores));
        double worst = 0.0;
        for (std::size_t i = 0; i < scores.size(); ++i) {
            const double expected = std::exp(scores[i]) / (1.0 + std::exp(scores[i]));
            worst = std::max(worst, std::abs(static_cast<double>(found[scores.size() + i]) - expected) / expected);
        }
        // Two of the exponential, half a one of the sum and of the quotient each, of which each may be twice as much
        // of a number right above a power of two.
        CHECK(worst < 3 * ulp);
    }
}

TEST_CASE("classes sum to one, equal ones share it, and one far ahead takes all") {
    for (const Kernels* kernels : plain::every_kernels()) {
        CAPTURE(std::string(kernels->name));
        const plain::Tensor scores = plain::tensor(4, {2, 5, 9}, 3);
        const auto found = softmax(*kernels, scores);
        const std::size_t voxels = found.size() / 4;
        for (std::size_t i = 0; i < voxels; ++i) {
            double sum = 0.0;
            for (std::size_t c = 0; c < 4; ++c) sum += static_cast<double>(found[c * voxels + i]);
            CHECK(std::abs(sum - 1.0) < 4 * ulp);
        }

        for (const double common : {0.0, -3.5, 1e30, -1e30}) {
            plain::Tensor equal(4, {1, 1, 3});
            std::ranges::fill(equal.values, common);
            for (const float value : softmax(*kernels, equal)) CHECK(value == 0.25F);
        }

        plain::Tensor far(4, {1, 1, 1});
        for (const double ahead : {1000.0, 1e30}) {
            far.at(2, 0, 0, 0) = ahead;
            const auto values = softmax(*kernels, far);
            CHECK(values[2] == 1.0F);
            for (const std::size_t c : {0U, 1U, 3U}) CHECK((values[c] >= 0.0F && values[c] < 1e-37F));
        }
    }
}

TEST_CASE("a score that is not a number, or endless, is no number in any class") {
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    constexpr double infinity = std::numeric_limits<double>::infinity();
    for (const Kernels* kernels : plain::every_kernels())
        for (const double score : {nan, infinity})
            for (std::int64_t c = 0; c < 4; ++c) {
                CAPTURE(std::string(kernels->name));
                plain::Tensor scores(4, {1, 1, 3});
                scores.at(c, 0, 0, 1) = score;
                const auto found = softmax(*kernels, scores);
                for (std::size_t i = 0; i < 4; ++i) {
                    CHECK(found[3 * i] == 0.25F);
                    CHECK(std::isnan(found[3 * i + 1]));
                    CHECK(found[3 * i + 2] == 0.25F);
                }
            }
}

TEST_CASE("one class that is no number leaves none to the others") {
    for (const Kernels* kernels : plain::every_kernels())
        for (std::size_t c = 0; c < 4; ++c) {
            CAPTURE(std::string(kernels->name));
            std::vector<float> bias(4, 0.0F);
            bias[c] = std::numeric_limits<float>::quiet_NaN();
            const std::vector<float> identity{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1};
            const auto packed = mixture_weights(identity, {1, 4, 4, 4, kernels->channels_a_word});
            const Stored source(plain::tensor(4, {1, 1, 5}, 1), kernels->channels_a_word);
            std::vector<float> found(20);
            kernels->classify({source.grid, 4 / kernels->channels_a_word, packed.data(), bias.data(),
                               source.words.data(), found.data(), nullptr},
                              {0, 5});
            for (const float value : found) CHECK(std::isnan(value));
        }
}
