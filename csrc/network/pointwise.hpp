// Layers without neighbours: 1x1x1 convolutions of several tensors, deconvolutions of 2x2x2 with stride 2, and the
// classes. Included by kernels.cpp only.
#pragma once

#include <utility>

#include "output.hpp"

namespace brats::network::BRATS_VARIANT {
namespace {

// Rows of a source, word by word; of several parts the greatest.
template <class Word>
BRATS_FLAT void gather_source(const Source& source, const Grid& grid, std::int64_t first, std::int64_t count,
                              std::uint32_t* to) {
    const std::int64_t a_part = source.planes * grid.voxels();
    std::int64_t present = 0;
    while ((source.absent >> present & 1U) != 0) ++present;
    for (std::int64_t plane = 0; plane < source.planes; ++plane, to += count) {
        const std::uint32_t* const from = source.words + present * a_part + plane * grid.voxels() + first;
        // Vectors reach past the end, into what is written next or into the slack.
        for (std::int64_t i = 0; i < count; i += lanes) {
            prefetch(from + grid.voxels() + i);
            auto words = load<Words>(from + i);
            if (source.parts > 1) {
                typename Word::Parts most = Word::split(words);
                for (std::int64_t other = 1; present + other < source.parts; ++other) {
                    if ((source.absent >> (present + other) & 1U) != 0) continue;
                    prefetch(from + other * a_part + grid.voxels() + i);
                    const typename Word::Parts more = Word::split(load<Words>(from + other * a_part + i));
                    for (int part = 0; part < Word::channels; ++part)
                        most.at[part] = greatest(most.at[part], more.at[part]);
                }
                words = Word::join(most);
            }
            store(to + i, words);
        }
    }
}

template <class Word>
void mix(const Mixture& layer, const Part& part, std::uint32_t* scratch) {
    const std::int64_t width = layer.grid.width;
    const std::int64_t count = part.rows.size() * width;
    constexpr std::int64_t itself = 0;
    const Taps taps{&itself, 1, layer.words, count, width};
    for (std::int64_t z = part.planes.first; z < part.planes.last; ++z) {
        const std::int64_t first = z * layer.grid.plane() + part.rows.first * width;
        std::uint32_t* to = scratch;
        for (int i = 0; i < layer.source_count; ++i) {
            gather_source<Word>(layer.sources[i], layer.grid, first, count, to);
            to += layer.sources[i].planes * count;
        }
        each_block<Word::channels>(part.channels, layer.block, layer.block, [&]<int Block>(std::int64_t channel) {
            const std::uint32_t* const weights = layer.weights + channel * layer.words;
            sum_plane<Word, Block>(taps, scratch, weights, layer.target, layer.grid, part, z, channel);
        });
    }
    finish_streams();
}

// Words of even and of odd columns in turn.
template <int... lane>
BRATS_FLAT void write_columns(std::uint32_t* row, bool streamed, Words even, Words odd,
                              std::integer_sequence<int, lane...> /*all*/) {
    constexpr int half = lanes / 2;
    const Words lower = __builtin_shufflevector(even, odd, (lane / 2 + lane % 2 * lanes)...);
    const Words upper = __builtin_shufflevector(even, odd, (half + lane / 2 + lane % 2 * lanes)...);
    if (streamed) {
        stream(row, lower);
        stream(row + lanes, upper);
        return;
    }
    store(row, lower);
    store(row + lanes, upper);
}

// `rows` is the output's first row of this tap; those of one tap are two apart.
template <class Word, int Block>
BRATS_FLAT void emit_columns(const Sums<Block>& sums, const Some& some, std::int64_t width, std::int64_t voxels,
                             bool streamed, std::uint32_t* rows) {
    for (int v = 0; v < some.used; ++v)
        for (int word = 0; word < Block / 2 / Word::channels; ++word) {
            typename Word::Parts even;
            typename Word::Parts odd;
            for (int part = 0; part < Word::channels; ++part) {
                even.at[part] = sums.at[2 * (word * Word::channels + part)][v];
                odd.at[part] = sums.at[2 * (word * Word::channels + part) + 1][v];
            }
            const Words even_words = Word::join(even);
            const Words odd_words = Word::join(odd);
            std::uint32_t* const plane = rows + word * voxels;
            const Position& at = some.at[v];
            if (at.whole) {
                const std::int64_t row = at.output / width;
                write_columns(plane + 4 * row * width + 2 * (at.output - row * width), streamed, even_words, odd_words,
                              std::make_integer_sequence<int, lanes>{});
                continue;
            }
            for (int lane = 0; lane < lanes; ++lane) {
                if (at.of_lane[lane] < 0) continue;
                const std::int64_t row = at.of_lane[lane] / width;
                std::uint32_t* const to = plane + 4 * row * width + 2 * (at.of_lane[lane] - row * width);
                to[0] = even_words[lane];
                to[1] = odd_words[lane];
            }
        }
}

// Block / 2 channels, each at even and odd columns, for one of the four taps along z and y.
template <class Word, int Block>
BRATS_FLAT void expand_block(const Expansion& layer, const Part& part, std::int64_t z, int tap, std::int64_t channel,
                             const std::uint32_t* scratch) {
    const Grid& from = layer.source_grid;
    const Grid grid{2 * from.depth, 2 * from.height, 2 * from.width};
    const std::int64_t words = layer.source.planes;
    const std::uint32_t* weights = layer.weights + (tap * layer.channels + channel) * 2 * words;
    std::uint32_t* const rows = layer.target.words + channel / Word::channels * grid.voxels() +
                                (2 * z + tap / 2) * grid.plane() + (2 * part.rows.first + tap % 2) * grid.width;
    Sums<Block> bias = {};
    if (layer.target.bias != nullptr)
        for (int i = 0; i < Block; ++i)
            for (int v = 0; v < vectors; ++v) bias.at[i][v] = all(layer.target.bias[channel + i / 2]);
    const std::int64_t offset = 0;
    const Positions positions(part.rows.size(), from.width, from.width);
    for (std::int64_t i = 0; i < positions.count(); i += vectors) {
        const Some now = some(positions, i);
        const std::uint32_t* const at[vectors] = {scratch + now.at[0].tile, scratch + now.at[1].tile};
        auto sums = bias;
        accumulate<Word, Block>(at, words, part.rows.size() * from.width, &offset, 1, weights, sums);
        emit_columns<Word>(sums, now, from.width, grid.voxels(), layer.target.streamed, rows);
    }
}

template <class Word>
void expand(const Expansion& layer, const Part& part, std::uint32_t* scratch) {
    const Grid& grid = layer.source_grid;
    const std::int64_t count = part.rows.size() * grid.width;
    for (std::int64_t z = part.planes.first; z < part.planes.last; ++z) {
        gather_source<Word>(layer.source, grid, z * grid.plane() + part.rows.first * grid.width, count, scratch);
        for (int tap = 0; tap < 4; ++tap)
            each_block<2 * Word::channels>(part.channels, layer.block / 2, layer.block,
                                           [&]<int Block>(std::int64_t channel) {
                                               expand_block<Word, Block>(layer, part, z, tap, channel, scratch);
                                           });
    }
    finish_streams();
}

// e^x for x <= 0, to 2 units in the last place: 2^n * e^r, the latter by Taylor's series to r^6.
BRATS_FLAT Floats exponential(Floats x) {
    constexpr float smallest = -87.0F;
    constexpr float to_integer = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer
    constexpr float ln2_upper = 0.693145751953125F;
    constexpr float ln2_lower = 1.42860682030941723212e-6F;
    const Floats bounded = greater(all(smallest), x);
    const Floats n = (bounded * 1.44269504F + to_integer) - to_integer;
    const Floats r = (bounded - n * ln2_upper) - n * ln2_lower;
    Floats series = all(1.0F / 720.0F);
    for (const float factor : {1.0F / 120.0F, 1.0F / 24.0F, 1.0F / 6.0F, 0.5F, 1.0F, 1.0F})
        series = series * r + factor;
    const auto power = __builtin_convertvector(n, Integers) + 127;
    return series * as_floats((Words)(power << 23));
}

constexpr int classes = 4;

template <class Word>
BRATS_FLAT void classify_vector(const Classification& layer, std::int64_t voxel, int count) {
    Floats scores[classes];
    for (int i = 0; i < classes; ++i) scores[i] = all(layer.bias == nullptr ? 0.0F : layer.bias[i]);
    for (std::int64_t word = 0; word < layer.words; ++word) {
        const auto in = load<Words>(layer.source + word * layer.grid.voxels() + voxel);
        for (int i = 0; i < classes; ++i) scores[i] = Word::dot(scores[i], in, layer.weights[word * classes + i]);
    }
    const Floats most = greatest(greatest(scores[0], scores[1]), greatest(scores[2], scores[3]));
    Floats total{};
    for (Floats& score : scores) {
        score = exponential(score - most);
        total += score;
    }
    for (Floats& score : scores) score /= total;
    if (layer.softmax != nullptr)
        for (int i = 0; i < classes; ++i)
            __builtin_memcpy(layer.softmax + i * layer.grid.voxels() + voxel, &scores[i],
                             static_cast<std::size_t>(count) * sizeof(float));
    if (layer.target != nullptr)
        for (int i = 0; i < classes; i += Word::channels) {
            typename Word::Parts parts;
            for (int part = 0; part < Word::channels; ++part) parts.at[part] = scores[i + part];
            const Words words = Word::join(parts);
            __builtin_memcpy(layer.target + i / Word::channels * layer.grid.voxels() + voxel, &words,
                             static_cast<std::size_t>(count) * sizeof(std::uint32_t));
        }
}

template <class Word>
void classify(const Classification& layer, Range voxels) {
    std::int64_t voxel = voxels.first;
    for (; voxel + lanes <= voxels.last; voxel += lanes) classify_vector<Word>(layer, voxel, lanes);
    if (voxel < voxels.last) classify_vector<Word>(layer, voxel, static_cast<int>(voxels.last - voxel));
}

}  // namespace
}  // namespace brats::network::BRATS_VARIANT
