// The layers that a network is built of: each checks what it is given, packs its weights and says how it is run.
#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "checks.hpp"
#include "network.hpp"
#include "parts.hpp"
#include "weights.hpp"

namespace brats::network {
namespace {

std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }

Grid halved(const Grid& grid) { return {grid.depth / 2, grid.height / 2, grid.width / 2}; }

}  // namespace

// Runs the parts of a layer, and adds up the moments of what it wrote where a norm asks for them.
template <class Layer>
void Network::run_parts(int id, const std::vector<Part>& parts, std::int64_t scratch_words, const Layer& layer,
                        void (*kernel)(const Layer&, const Part&, std::uint32_t*)) {
    Tensor& made = tensors_[size(id)];
    std::vector<Moments> moments(made.counted ? parts.size() * size(made.channels) : 0);
    team_.run(static_cast<std::int64_t>(parts.size()), [&](std::int64_t i, int member) {
        WordBuffer& scratch = scratch_[size(member)];
        if (scratch.size() < size(scratch_words)) scratch = WordBuffer(size(scratch_words));
        Layer mine = layer;
        if (made.counted) mine.target.moments = moments.data() + i * made.channels;
        kernel(mine, parts[size(i)], scratch.data());
    });
    if (!made.counted) return;
    made.moments.assign(size(made.channels), {});
    for (std::size_t i = 0; i < moments.size(); ++i) merge(made.moments[i % size(made.channels)], moments[i]);
}

int Network::average(int from) {
    const Tensor& in = tensor(from, true);
    demand(is_even(in.grid), "means over 2x2x2 voxels of a grid that is not even");
    const Grid grid = halved(in.grid);
    const int id = static_cast<int>(tensors_.size());
    return add(grid, in.channels, true, {from}, [this, from, id, grid] {
        const Tensor& read = tensors_[size(from)];
        const auto* const source = from == input() ? crop_ : reinterpret_cast<const float*>(read.words);
        auto* const to = reinterpret_cast<float*>(tensors_[size(id)].words);
        team_.run(read.channels * grid.depth, [&](std::int64_t i, int) {
            const float* const planes = source + 2 * i * read.grid.plane();
            for (std::int64_t y = 0; y < grid.height; ++y) {
                const float* const row = planes + 2 * y * read.grid.width;
                const float* const rows[] = {row, row + read.grid.width, row + read.grid.plane(),
                                             row + read.grid.plane() + read.grid.width};
                for (std::int64_t x = 0; x < grid.width; ++x) {
                    float sum = 0.0F;
                    for (const float* const part : rows) sum += part[2 * x] + part[2 * x + 1];
                    to[i * grid.plane() + y * grid.width + x] = sum / 8.0F;
                }
            }
        });
    });
}

int Network::convolve_first(int from, Floats weights, Floats bias) {
    const Tensor& in = tensor(from, true);
    const std::int64_t outputs = outputs_of(weights, 27 * in.channels);
    const std::int64_t a_block = block(outputs, kernels_.channels_a_word);
    const auto* const packed =
        keep(first_convolution_weights(weights, {in.channels, outputs, 1, a_block, kernels_.channels_a_word}));
    const auto* const biases = keep(bias, in.channels * outputs, "bias");
    const Grid grid = in.grid;
    const auto scratch = [grid](std::int64_t rows) { return convolution_scratch(1, rows, grid.width); };
    const std::vector<Part> parts = cut({grid, in.channels, outputs, a_block, 2}, scratch);
    const int id = static_cast<int>(tensors_.size());
    return add(grid, in.channels * outputs, false, {from}, [=, this] {
        const FirstConvolution layer{
            .grid = grid,
            .channels = outputs,
            .block = a_block,
            .weights = packed->data(),
            .source = from == input() ? crop_ : reinterpret_cast<float*>(tensors_[size(from)].words),
            .target = target(id, *biases)};
        run_parts(id, parts, scratch(parts[0].rows.size()), layer, kernels_.convolve_first);
    });
}

int Network::convolve(int from, const Norm& norm, std::int64_t groups, Floats weights, Floats bias, int residual) {
    const Tensor& in = tensor(from, false);
    demand(in.measurable, "a norm right behind a deconvolution or a softmax");
    demand(groups > 0 && in.channels % groups == 0, "groups that do not divide the channels");
    const std::int64_t inputs = in.channels / groups;
    const std::int64_t outputs = outputs_of(weights, 27 * in.channels);
    const std::int64_t a_block = block(outputs, inputs);
    const auto* const packed =
        keep(convolution_weights(weights, {groups, outputs, inputs, a_block, kernels_.channels_a_word}));
    const auto* const biases = keep(bias, groups * outputs, "bias");
    const auto* const gamma = keep(norm.gamma, in.channels, "gamma");
    const auto* const beta = keep(norm.beta, in.channels, "beta");
    demand(!gamma->empty() && !beta->empty(), "a norm without gamma or beta");
    demand(norm.epsilon >= 0.0F && std::isfinite(norm.epsilon), "a norm with an epsilon below zero, or not finite");
    const Grid grid = in.grid;
    std::vector<int> reads{from};
    if (residual != none) {
        const Tensor& rest = tensor(residual, false);
        demand(rest.channels == groups * outputs && rest.grid.voxels() == grid.voxels(),
               "a residual of another shape than the layer's");
        reads.push_back(residual);
    }
    tensors_[size(from)].counted = true;
    const std::int64_t words = inputs / kernels_.channels_a_word;
    const auto scratch = [=](std::int64_t rows) { return convolution_scratch(words, rows, grid.width); };
    const std::vector<Part> parts = cut({grid, groups, outputs, a_block, 2}, scratch);
    const auto scale = std::make_shared<std::vector<float>>(size(in.channels));
    const auto shift = std::make_shared<std::vector<float>>(size(in.channels));
    const auto epsilon = static_cast<double>(norm.epsilon);
    const int id = static_cast<int>(tensors_.size());
    return add(grid, groups * outputs, false, reads, [=, this] {
        const Tensor& read = tensors_[size(from)];
        for (std::size_t channel = 0; channel < scale->size(); ++channel) {
            const Moments& moments = read.moments[channel];
            const double factor = static_cast<double>((*gamma)[channel]) / std::sqrt(variance_of(moments) + epsilon);
            (*scale)[channel] = static_cast<float>(factor);
            (*shift)[channel] = static_cast<float>(static_cast<double>((*beta)[channel]) - moments.mean * factor);
        }
        const Convolution layer{.grid = grid,
                                .words = words,
                                .channels = outputs,
                                .block = a_block,
                                .weights = packed->data(),
                                .source = read.words,
                                .scale = scale->data(),
                                .shift = shift->data(),
                                .target = target(id, *biases, residual)};
        run_parts(id, parts, scratch(parts[0].rows.size()), layer, kernels_.convolve);
    });
}

int Network::reduce(int from, std::int64_t groups, Floats weights, Floats bias) {
    const Tensor& in = tensor(from, false);
    demand(groups > 0 && in.channels % groups == 0, "groups that do not divide the channels");
    demand(is_even(in.grid), "a stride of 2 over a grid that is not even");
    const std::int64_t inputs = in.channels / groups;
    const std::int64_t outputs = outputs_of(weights, 27 * in.channels);
    const std::int64_t a_block = block(outputs, inputs);
    const auto* const packed =
        keep(reduction_weights(weights, {groups, outputs, inputs, a_block, kernels_.channels_a_word}));
    const auto* const biases = keep(bias, groups * outputs, "bias");
    const Grid source_grid = in.grid;
    const Grid grid = halved(source_grid);
    const std::int64_t words = inputs / kernels_.channels_a_word;
    const auto scratch = [=](std::int64_t rows) { return reduction_scratch(words, rows, grid.width); };
    const std::vector<Part> parts = cut({grid, groups, outputs, a_block, 1}, scratch);
    const int id = static_cast<int>(tensors_.size());
    return add(grid, groups * outputs, false, {from}, [=, this] {
        const Reduction layer{.source_grid = source_grid,
                              .grid = grid,
                              .words = words,
                              .channels = outputs,
                              .block = a_block,
                              .weights = packed->data(),
                              .source = tensors_[size(from)].words,
                              .target = target(id, *biases)};
        run_parts(id, parts, scratch(parts[0].rows.size()), layer, kernels_.reduce);
    });
}

int Network::mix(std::span<const Reference> sources, Floats weights, Floats bias) {
    demand(!sources.empty() && sources.size() <= most_sources, "no sources, or too many");
    const Grid grid = tensor(sources[0].tensor, false).grid;
    std::int64_t inputs = 0;
    std::vector<int> reads;
    for (const Reference& reference : sources) {
        const Tensor& in = tensor(reference.tensor, false);
        demand(in.grid.voxels() == grid.voxels(), "sources of several grids");
        demand(divides(in, reference.parts), "channels that do not divide into the parts");
        inputs += in.channels / reference.parts;
        reads.push_back(reference.tensor);
    }
    const std::int64_t outputs = outputs_of(weights, inputs);
    const std::int64_t a_block = block(outputs, inputs);
    const auto* const packed = keep(mixture_weights(weights, {1, outputs, inputs, a_block, kernels_.channels_a_word}));
    const auto* const biases = keep(bias, outputs, "bias");
    const std::int64_t words = inputs / kernels_.channels_a_word;
    const auto scratch = [=](std::int64_t rows) { return mixture_scratch(words, rows, grid.width); };
    const std::vector<Part> parts = cut({grid, 1, outputs, a_block, 1}, scratch);
    const std::vector<Reference> references(sources.begin(), sources.end());
    const int id = static_cast<int>(tensors_.size());
    return add(grid, outputs, false, reads, [=, this] {
        Mixture layer{.grid = grid,
                      .words = words,
                      .channels = outputs,
                      .block = a_block,
                      .weights = packed->data(),
                      .sources = {},
                      .source_count = static_cast<int>(references.size()),
                      .target = target(id, *biases)};
        for (std::size_t i = 0; i < references.size(); ++i) layer.sources[i] = source(references[i]);
        run_parts(id, parts, scratch(parts[0].rows.size()), layer, kernels_.mix);
    });
}

int Network::expand(const Reference& reference, Floats weights, Floats bias) {
    const Tensor& in = tensor(reference.tensor, false);
    demand(divides(in, reference.parts), "channels that do not divide into the parts");
    const std::int64_t inputs = in.channels / reference.parts;
    const std::int64_t outputs = outputs_of(weights, 8 * inputs);
    // Each channel is computed at even and at odd columns.
    const std::int64_t a_block = 2 * block_of(outputs, kernels_.channels_a_word, kernels_.widest_block / 2);
    demand(a_block > 0, "channels that are no multiple of a word's");
    const auto* const packed =
        keep(expansion_weights(weights, {1, outputs, inputs, a_block, kernels_.channels_a_word}));
    const auto* const biases = keep(bias, outputs, "bias");
    const Grid source_grid = in.grid;
    const Grid grid{2 * source_grid.depth, 2 * source_grid.height, 2 * source_grid.width};
    const std::int64_t words = inputs / kernels_.channels_a_word;
    const auto scratch = [=](std::int64_t rows) { return mixture_scratch(words, rows, source_grid.width); };
    const std::vector<Part> parts = cut({source_grid, 1, outputs, a_block / 2, 1}, scratch);
    const int id = static_cast<int>(tensors_.size());
    add(grid, outputs, false, {reference.tensor}, [=, this] {
        const Expansion layer{.source_grid = source_grid,
                              .channels = outputs,
                              .block = a_block,
                              .weights = packed->data(),
                              .source = source(reference),
                              .target = target(id, *biases)};
        run_parts(id, parts, scratch(parts[0].rows.size()), layer, kernels_.expand);
    });
    tensors_[size(id)].measurable = false;
    return id;
}

int Network::classify(int from, Floats weights, Floats bias) {
    const Tensor& in = tensor(from, false);
    demand(outputs_of(weights, in.channels) == 4, "weights of other than four classes");
    const auto* const packed = keep(mixture_weights(weights, {1, 4, in.channels, 4, kernels_.channels_a_word}));
    const auto* const biases = keep(bias, 4, "bias");
    const Grid grid = in.grid;
    const std::int64_t words = in.channels / kernels_.channels_a_word;
    const int step = static_cast<int>(steps_.size());
    const int id = static_cast<int>(tensors_.size());
    add(grid, 4, false, {from}, [=, this] {
        const bool last = size(step) + 1 == steps_.size();
        const Classification layer{.grid = grid,
                                   .words = words,
                                   .weights = packed->data(),
                                   .bias = biases->empty() ? nullptr : biases->data(),
                                   .source = tensors_[size(from)].words,
                                   .softmax = last ? softmax_ : nullptr,
                                   .target = last ? nullptr : tensors_[size(id)].words};
        team_.run(grid.depth,
                  [&](std::int64_t z, int) { kernels_.classify(layer, {z * grid.plane(), (z + 1) * grid.plane()}); });
    });
    tensors_[size(id)].measurable = false;
    tensors_[size(id)].classes = true;
    return id;
}

}  // namespace brats::network
