#include "weights.hpp"

#include <array>
#include <bit>
#include <stdexcept>

namespace brats::network {
namespace {

// Rounded to the nearest, ties to even. Weights are finite.
std::uint32_t bfloat16(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    return (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
}

std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }

// A word of `value(channel)` for the channels of word `word`.
template <class Value>
std::uint32_t join(int channels_a_word, std::int64_t word, const Value& value) {
    if (channels_a_word == 1) return std::bit_cast<std::uint32_t>(static_cast<float>(value(word)));
    return bfloat16(static_cast<float>(value(2 * word))) | bfloat16(static_cast<float>(value(2 * word + 1))) << 16;
}

// F(2, 3)'s weights of three along the depth; the last with the opposite sign, as its tile is taken off.
double transformed(int tile, double w0, double w1, double w2) {
    switch (tile) {
        case 0: return w0;
        case 1: return (w0 + w1 + w2) / 2;
        case 2: return (w0 - w1 + w2) / 2;
        default: return -w2;
    }
}

double of_tile(std::span<const float> kernel, int tile, std::int64_t tap) {
    return transformed(tile, static_cast<double>(kernel[at(tap)]), static_cast<double>(kernel[at(tap + 9)]),
                       static_cast<double>(kernel[at(tap + 18)]));
}

void check(std::span<const float> weights, std::int64_t expected) {
    if (weights.size() != at(expected)) throw std::invalid_argument("weights of another size than the layer's");
}

}  // namespace

std::int64_t block_of(std::int64_t outputs, int channels_a_word, int widest) {
    for (std::int64_t block = widest; block >= channels_a_word; block /= 2)
        if (outputs % block == 0) return block;
    return 0;
}

Words convolution_weights(std::span<const float> weights, const Packing& packing) {
    check(weights, packing.groups * packing.outputs * packing.inputs * 27);
    Words words;
    words.reserve(weights.size() * 36 / 27 / at(packing.channels_a_word));
    for (std::int64_t first = 0; first < packing.groups * packing.outputs; first += packing.block)
        for (int tile = 0; tile < 4; ++tile)
            for (std::int64_t word = 0; word < packing.inputs / packing.channels_a_word; ++word)
                for (std::int64_t tap = 0; tap < 9; ++tap)
                    for (std::int64_t output = first; output < first + packing.block; ++output)
                        words.push_back(join(packing.channels_a_word, word, [&](std::int64_t input) {
                            const auto kernel = weights.subspan(at((output * packing.inputs + input) * 27), 27);
                            return of_tile(kernel, tile, tap);
                        }));
    return words;
}

Words first_convolution_weights(std::span<const float> weights, const Packing& packing) {
    check(weights, packing.groups * packing.outputs * 27);
    const std::int64_t columns = packing.channels_a_word == 1 ? 3 : 2;
    Words words;
    for (std::int64_t first = 0; first < packing.groups * packing.outputs; first += packing.block)
        for (int tile = 0; tile < 4; ++tile)
            for (std::int64_t row = 0; row < 3; ++row)
                for (std::int64_t word = 0; word < columns; ++word)
                    for (std::int64_t output = first; output < first + packing.block; ++output)
                        words.push_back(join(packing.channels_a_word, word, [&](std::int64_t column) {
                            const auto kernel = weights.subspan(at(output * 27), 27);
                            return column < 3 ? of_tile(kernel, tile, row * 3 + column) : 0.0;
                        }));
    return words;
}

Words reduction_weights(std::span<const float> weights, const Packing& packing) {
    check(weights, packing.groups * packing.outputs * packing.inputs * 27);
    Words words;
    for (std::int64_t first = 0; first < packing.groups * packing.outputs; first += packing.block)
        for (std::int64_t word = 0; word < packing.inputs / packing.channels_a_word; ++word)
            for (std::int64_t tap = 0; tap < 27; ++tap)
                for (std::int64_t output = first; output < first + packing.block; ++output)
                    words.push_back(join(packing.channels_a_word, word, [&](std::int64_t input) {
                        return weights[at((output * packing.inputs + input) * 27 + tap)];
                    }));
    return words;
}

Words mixture_weights(std::span<const float> weights, const Packing& packing) {
    check(weights, packing.outputs * packing.inputs);
    Words words;
    for (std::int64_t first = 0; first < packing.outputs; first += packing.block)
        for (std::int64_t word = 0; word < packing.inputs / packing.channels_a_word; ++word)
            for (std::int64_t output = first; output < first + packing.block; ++output)
                words.push_back(join(packing.channels_a_word, word,
                                     [&](std::int64_t input) { return weights[at(output * packing.inputs + input)]; }));
    return words;
}

Words expansion_weights(std::span<const float> weights, const Packing& packing) {
    check(weights, packing.outputs * packing.inputs * 8);
    Words words;
    for (std::int64_t tap = 0; tap < 4; ++tap)
        for (std::int64_t first = 0; first < packing.outputs; first += packing.block / 2)
            for (std::int64_t word = 0; word < packing.inputs / packing.channels_a_word; ++word)
                for (std::int64_t output = first; output < first + packing.block / 2; ++output)
                    for (std::int64_t column = 0; column < 2; ++column)
                        words.push_back(join(packing.channels_a_word, word, [&](std::int64_t input) {
                            return weights[at((input * packing.outputs + output) * 8 + tap * 2 + column)];
                        }));
    return words;
}

}  // namespace brats::network
