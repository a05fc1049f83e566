// Tensors as the kernels have them, from plain ones and back.
#pragma once

#include <bit>
#include <new>

#include "plain.hpp"

namespace brats::plain {

// Memory on cache lines, as streamed stores need it, without a byte to spare behind it.
template <class T>
struct OnCacheLines {
    using value_type = T;
    static constexpr std::align_val_t boundary{64};

    static T* allocate(std::size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), boundary)); }
    static void deallocate(T* values, std::size_t /*count*/) noexcept { ::operator delete(values, boundary); }
    bool operator==(const OnCacheLines&) const = default;
};

using Words = std::vector<std::uint32_t, OnCacheLines<std::uint32_t>>;

// Bits of a NaN, in words of either kind: what nobody wrote is seen.
inline constexpr std::uint32_t unwritten = 0x7fc07fc0U;

// To the nearest bfloat16, ties to even; of float32 too where words hold one channel.
inline double rounded(double value, int channels_a_word) {
    const auto narrow = static_cast<float>(value);
    if (channels_a_word == 1) return static_cast<double>(narrow);
    const auto bits = std::bit_cast<std::uint32_t>(narrow);
    const std::uint32_t below = bits & 0xffffU;
    const bool up = below > 0x8000U || (below == 0x8000U && (bits & 0x10000U) != 0);
    return static_cast<double>(std::bit_cast<float>((bits & 0xffff0000U) + (up ? 0x10000U : 0U)));
}

// Exactly as many words as a tensor has, and the slack that vectors may read: a guard for AddressSanitizer.
struct Stored {
    std::int64_t channels;
    Grid grid;
    int channels_a_word;
    Words words;

    Stored(std::int64_t channel_count, const Grid& of, int a_word)
        : channels(channel_count),
          grid(of),
          channels_a_word(a_word),
          words(size(channel_count / a_word * of.voxels() + network::slack), unwritten) {}

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

    // Nobody wrote behind the tensor.
    [[nodiscard]] bool slack_is_untouched() const {
        return std::all_of(words.end() - network::slack, words.end(), [](auto word) { return word == unwritten; });
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

}  // namespace brats::plain
