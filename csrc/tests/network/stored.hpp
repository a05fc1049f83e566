// Tensors as the kernels have them, from plain ones and back.
#pragma once

#include <bit>
#include <memory>

#include "../../network/words.hpp"
#include "plain.hpp"

namespace brats::plain {

// Exactly as many words as a tensor has, and the slack that vectors may touch: a guard for AddressSanitizer.
struct Stored {
    std::int64_t channels;
    Grid grid;
    int channels_a_word;
    std::vector<std::uint32_t> words;

    Stored(std::int64_t channel_count, const Grid& of, int a_word)
        : channels(channel_count),
          grid(of),
          channels_a_word(a_word),
          // Bits of a NaN: what nobody wrote is seen.
          words(size(channel_count / a_word * of.voxels() + network::slack), 0x7fc07fc0U) {}

    Stored(const Tensor& plain, int a_word) : Stored(plain.channels, plain.grid, a_word) {
        for (std::int64_t c = 0; c < channels; ++c)
            for (std::int64_t voxel = 0; voxel < grid.voxels(); ++voxel) {
                std::uint32_t& word = words[size(c / a_word * grid.voxels() + voxel)];
                const auto bits =
                    std::bit_cast<std::uint32_t>(static_cast<float>(plain.values[size(c * grid.voxels() + voxel)]));
                if (a_word == 1)
                    word = bits;
                else if (c % 2 == 0)
                    word = bits >> 16;
                else
                    word = (word & 0xffffU) | (bits & 0xffff0000U);
            }
    }

    [[nodiscard]] Tensor plain() const {
        Tensor made(channels, grid);
        for (std::int64_t c = 0; c < channels; ++c)
            for (std::int64_t voxel = 0; voxel < grid.voxels(); ++voxel) {
                const std::uint32_t word = words[size(c / channels_a_word * grid.voxels() + voxel)];
                const bool upper = channels_a_word == 1 || c % 2 == 1;
                const std::uint32_t bits = channels_a_word == 1 ? word : upper ? word & 0xffff0000U : word << 16;
                made.values[size(c * grid.voxels() + voxel)] = static_cast<double>(std::bit_cast<float>(bits));
            }
        return made;
    }
};

// Every kernel table of this processor.
inline std::vector<const network::Kernels*> every_kernels() {
    std::vector<const network::Kernels*> all = network::supported_kernels(1);
    for (const network::Kernels* kernels : network::supported_kernels(2)) all.push_back(kernels);
    return all;
}

// How far apart two tensors are, over the largest value.
inline double difference(const Tensor& found, const Tensor& expected) {
    double largest = 1e-30;
    double off = 0.0;
    for (std::size_t i = 0; i < expected.values.size(); ++i) {
        largest = std::max(largest, std::abs(expected.values[i]));
        // A NaN is a difference too.
        const double here = std::abs(found.values[i] - expected.values[i]);
        off = here <= off ? off : here;
    }
    return off / largest;
}

// Sums of up to some thousand products in float32 lose less than 1e-5 of the largest. In bfloat16 the output itself is
// rounded to 8 bits, 2^-9 of a value; Winograd's tiles and weights are rounded too, and their errors add up as random
// ones.
inline double tolerance(const network::Kernels& kernels) { return kernels.channels_a_word == 1 ? 1e-5 : 1.2e-2; }

}  // namespace brats::plain
