#include "../../network/weights.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <bit>
#include <stdexcept>

#include "../../network/words.hpp"

using namespace brats::network;

namespace {

float single(std::uint32_t word) { return std::bit_cast<float>(word); }

}  // namespace

TEST_CASE("words of two channels are rounded to the nearest bfloat16, ties to even") {
    // 1 + 2^-8 lies between 1 and 1 + 2^-7; 1 + 3 * 2^-8 between that and 1 + 2^-6.
    const std::vector<float> weights{1.0F + 0x1p-8F, 1.0F + 0x3p-8F, -2.5F, 1.0F + 0x1.02p-8F};
    const Words words = mixture_weights(weights, {1, 2, 2, 2, 2});
    REQUIRE(words.size() == 2);
    CHECK(single(words[0] << 16) == 1.0F);
    CHECK(single(words[0] & 0xffff0000U) == 1.0F + 0x1p-6F);
    CHECK(single(words[1] << 16) == -2.5F);
    CHECK(single(words[1] & 0xffff0000U) == 1.0F + 0x1p-7F);
}

TEST_CASE("Winograd's weights along the depth, the last with the opposite sign") {
    std::vector<float> weights(27, 0.0F);
    weights[4] = 1.0F;  // the centres of the three planes
    weights[9 + 4] = 2.0F;
    weights[18 + 4] = 4.0F;
    const Words words = convolution_weights(weights, {1, 1, 1, 1, 1});
    REQUIRE(words.size() == 36);
    CHECK(single(words[4]) == 1.0F);
    CHECK(single(words[9 + 4]) == 3.5F);
    CHECK(single(words[18 + 4]) == 1.5F);
    CHECK(single(words[27 + 4]) == -4.0F);
}

TEST_CASE("blocks divide the outputs and hold whole words") {
    CHECK(block_of(16, 1, 8) == 8);
    CHECK(block_of(12, 1, 8) == 4);
    CHECK(block_of(6, 2, 8) == 2);
    CHECK(block_of(1, 1, 8) == 1);
    CHECK(block_of(1, 2, 8) == 0);
    CHECK(block_of(3, 2, 8) == 0);
}

TEST_CASE("weights of another size are refused") {
    const std::vector<float> weights(26);
    CHECK_THROWS_AS(convolution_weights(weights, {1, 1, 1, 1, 1}), std::invalid_argument);
    CHECK_THROWS_AS(expansion_weights(weights, {1, 2, 2, 2, 1}), std::invalid_argument);
}

TEST_CASE("buffers lie on cache lines and begin as zeros") {
    for (const std::size_t count :
         {std::size_t{1}, std::size_t{1000}, std::size_t{1} << 20, (std::size_t{1} << 20) + 1}) {
        const WordBuffer buffer(count);
        CHECK(reinterpret_cast<std::uintptr_t>(buffer.data()) % 64 == 0);
        CHECK(buffer.size() == count);
        CHECK(std::all_of(buffer.data(), buffer.data() + count, [](auto word) { return word == 0; }));
    }
}
