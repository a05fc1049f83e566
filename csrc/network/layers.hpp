// What the network's layers read, compute and write. A tensor is [planes][depth][height][width] of 32-bit words; a
// plane is one channel in float32, or two channels in bfloat16.
#pragma once

#include <cstdint>
#include <vector>

#include "arithmetic.cuh"

namespace brats::network {

// The longest vector's, in words.
inline constexpr std::int64_t longest_vector = 16;

// Words that a vector may read or write past the end of a row or a tensor.
inline constexpr std::int64_t slack = 32;

struct Grid {
    std::int64_t depth, height, width;

    [[nodiscard]] constexpr std::int64_t plane() const { return height * width; }
    [[nodiscard]] constexpr std::int64_t voxels() const { return depth * height * width; }
};

struct Range {
    std::int64_t first, last;  // half-open

    [[nodiscard]] constexpr std::int64_t size() const { return last - first; }
};

// The part of a layer's output that a task computes: channels of a group, rows and planes.
struct Part {
    std::int64_t group;
    Range channels, rows, planes;
};

// Where a layer writes. `bias` and `moments` have an entry a channel; they and `residual`, which is added, may be null.
// `streamed` is for tensors that no cache holds until they are read: rows are then whole vectors, on their boundaries.
struct Target {
    std::uint32_t* words;
    bool streamed;
    const std::uint32_t* residual;
    const float* bias;
    Moments* moments;
};

// A 3x3x3 convolution with stride 1 of max(0, scale * x + shift), by Winograd's F(2, 3) along the depth.
struct Convolution {
    Grid grid;
    std::int64_t words;            // a group reads
    std::int64_t channels;         // a group writes
    std::int64_t block;            // output channels computed at once
    const std::uint32_t* weights;  // [group][channels / block][4][words][9][block]
    const std::uint32_t* source;
    const float* scale;  // a channel of the source
    const float* shift;
    Target target;
};

// The same of the network's input: one channel of float32 a group, as it is. Words of two channels hold neighbours
// along x instead, so that two taps are left of three.
struct FirstConvolution {
    Grid grid;
    std::int64_t channels;
    std::int64_t block;
    const std::uint32_t* weights;  // [group][channels / block][4][9 or 6][block]
    const float* source;
    Target target;
};

// A 3x3x3 convolution with stride 2 of a tensor as it is.
struct Reduction {
    Grid source_grid;
    Grid grid;
    std::int64_t words;
    std::int64_t channels;
    std::int64_t block;
    const std::uint32_t* weights;  // [group][channels / block][words][27][block]
    const std::uint32_t* source;
    Target target;
};

// A tensor of several that are one behind the other; of `parts` equal parts the greatest is taken.
struct Source {
    const std::uint32_t* words;
    std::int64_t planes;  // after the maximum
    std::int64_t parts;
    std::uint32_t absent;  // the parts that are left out, a bit each; not all of them
};

inline constexpr int most_sources = 4;

// A 1x1x1 convolution of tensors one behind the other.
struct Mixture {
    Grid grid;
    std::int64_t words;  // of all sources
    std::int64_t channels;
    std::int64_t block;
    const std::uint32_t* weights;  // [channels / block][words][block]
    Source sources[most_sources];
    int source_count;
    Target target;
};

// A deconvolution of 2x2x2 with stride 2.
struct Expansion {
    Grid source_grid;
    std::int64_t channels;
    std::int64_t block;            // of which half are channels, each at an even and at an odd x
    const std::uint32_t* weights;  // [2 z][2 y][2 * channels / block][words][block]
    Source source;
    Target target;
};

// A 1x1x1 convolution to four classes, and their softmax.
struct Classification {
    Grid grid;
    std::int64_t words;
    const std::uint32_t* weights;  // [words][4]
    const float* bias;
    const std::uint32_t* source;
    float* softmax;         // [4][voxels], or null
    std::uint32_t* target;  // or null
};

struct Kernels {
    const char* name;
    int channels_a_word;
    int widest_block;
    // Each computes a part; the scratch is of as many words as the functions below say.
    void (*convolve)(const Convolution&, const Part&, std::uint32_t* scratch);
    void (*convolve_first)(const FirstConvolution&, const Part&, std::uint32_t* scratch);
    void (*reduce)(const Reduction&, const Part&, std::uint32_t* scratch);
    void (*mix)(const Mixture&, const Part&, std::uint32_t* scratch);
    void (*expand)(const Expansion&, const Part&, std::uint32_t* scratch);
    void (*classify)(const Classification&, Range voxels);
};

// A row of the network's input behind the tiles, with room around it.
constexpr std::int64_t first_row_words(std::int64_t width) { return width + 4 + slack; }

// Words of scratch for parts of so many rows and planes of words.
constexpr std::int64_t convolution_scratch(std::int64_t words, std::int64_t rows, std::int64_t width) {
    return 4 * (words * (rows + 2) * (width + 2) + slack + first_row_words(width));
}
constexpr std::int64_t reduction_scratch(std::int64_t words, std::int64_t rows, std::int64_t width) {
    return 3 * words * 4 * (rows + 1) * (width + 1) + slack;
}
constexpr std::int64_t mixture_scratch(std::int64_t words, std::int64_t rows, std::int64_t width) {
    return words * rows * width + slack;
}

// The variants for this processor, the best last; of two channels a word where it computes with bfloat16.
std::vector<const Kernels*> supported_kernels(int channels_a_word);

namespace baseline {
const Kernels& kernels();
}
#ifdef BRATS_X86_VARIANTS
namespace avx2 {
const Kernels& kernels();
}
namespace avx512 {
const Kernels& kernels();
}
namespace avx512_bf16 {
const Kernels& kernels();
}
#endif

}  // namespace brats::network
