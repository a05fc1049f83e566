// Weights as the kernels read them, from float32 in ONNX's order.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace brats::network {

using Words = std::vector<std::uint32_t>;

// What a layer's weights are packed for: output channels and words of a group, channels computed at once and in a word.
struct Packing {
    std::int64_t groups, outputs, inputs;  // channels; the latter two of a group
    std::int64_t block;
    int channels_a_word;
};

// The channels computed at once: as many as fit, and divide the outputs of a group; 0 where words would straddle
// groups.
std::int64_t block_of(std::int64_t outputs, int channels_a_word, int widest);

// From (groups * outputs, inputs, 3, 3, 3).
Words convolution_weights(std::span<const float> weights, const Packing& packing);
// From (groups * outputs, 1, 3, 3, 3).
Words first_convolution_weights(std::span<const float> weights, const Packing& packing);
// From (groups * outputs, inputs, 3, 3, 3).
Words reduction_weights(std::span<const float> weights, const Packing& packing);
// From (outputs, inputs).
Words mixture_weights(std::span<const float> weights, const Packing& packing);
// From (inputs, outputs, 2, 2, 2); a block is half as many channels.
Words expansion_weights(std::span<const float> weights, const Packing& packing);

}  // namespace brats::network
