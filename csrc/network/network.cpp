#include "network.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "../host/parallel.hpp"
#include "checks.hpp"
#include "weights.hpp"

namespace brats::network {
namespace {

constexpr std::int64_t input_channels = 4;
// Words; larger tensors have left the caches before they are read.
constexpr std::int64_t largest_cached = std::int64_t{6} << 20;

std::size_t size(std::int64_t n) { return static_cast<std::size_t>(n); }

}  // namespace

Network::Network(const Kernels& kernels, const Grid& grid, int threads)
    : kernels_(kernels), team_(threads > 0 ? threads : usable_cores()) {
    check(grid);
    scratch_.resize(size(team_.size()));
    tensors_.emplace_back(grid, input_channels, true);
}

const Network::Tensor& Network::tensor(int id, bool raw) const {
    demand(id >= 0 && size(id) < tensors_.size(), "tensor " + std::to_string(id) + " is not there");
    const Tensor& found = tensors_[size(id)];
    demand(found.raw == raw, "tensor " + std::to_string(id) + (raw ? " is not" : " is") + " the network's input");
    return found;
}

int Network::add(const Grid& grid, std::int64_t channels, bool raw, const std::vector<int>& reads,
                 std::function<void()> run) {
    check(grid);
    const int id = static_cast<int>(tensors_.size());
    tensors_.emplace_back(grid, channels, raw);
    for (const int read : reads) tensors_[size(read)].last_reader = static_cast<int>(steps_.size());
    steps_.push_back({std::move(run), id});
    placed_ = false;
    return id;
}

const std::vector<std::uint32_t>* Network::keep(std::vector<std::uint32_t> weights) {
    return weights_.emplace_back(std::make_unique<std::vector<std::uint32_t>>(std::move(weights))).get();
}

const std::vector<float>* Network::keep(Floats values, std::int64_t expected, const char* what) {
    demand(values.empty() || values.size() == size(expected), std::string(what) + " of another size than the layer's");
    demand(are_finite(values), std::string(what) + " that is not finite");
    return floats_.emplace_back(std::make_unique<std::vector<float>>(values.begin(), values.end())).get();
}

std::int64_t Network::block(std::int64_t outputs, std::int64_t inputs) const {
    const std::int64_t block = block_of(outputs, kernels_.channels_a_word, kernels_.widest_block);
    demand(block > 0 && inputs % kernels_.channels_a_word == 0,
           "channels of a group that are no multiple of " + std::to_string(kernels_.channels_a_word));
    return block;
}

std::int64_t Network::planes(const Tensor& tensor) const {
    return tensor.raw ? tensor.channels : tensor.channels / kernels_.channels_a_word;
}

bool Network::divides(const Tensor& tensor, std::int64_t parts) const {
    return parts > 0 && parts <= planes(tensor) && planes(tensor) % parts == 0;
}

Source Network::source(const Reference& reference) const {
    const Tensor& from = tensors_[size(reference.tensor)];
    const bool of_channels = reference.parts == tensors_.front().channels;
    return {from.words, planes(from) / reference.parts, reference.parts, of_channels ? absent_ : 0};
}

Target Network::target(int id, const std::vector<float>& bias, int residual) const {
    const Tensor& made = tensors_[size(id)];
    return {.words = made.words,
            .streamed = planes(made) * made.grid.voxels() >= largest_cached && made.grid.width % longest_vector == 0,
            .residual = residual == none ? nullptr : tensors_[size(residual)].words,
            .bias = bias.empty() ? nullptr : bias.data(),
            .moments = nullptr};
}

// Gives each tensor a buffer from when it is made to when it is last read; buffers are taken again.
void Network::place_tensors() {
    std::vector<int> holder;  // of each buffer
    std::vector<std::size_t> sizes;
    std::vector<std::size_t> buffer_of(steps_.size());
    for (std::size_t step = 0; step < steps_.size(); ++step) {
        const Tensor& made = tensors_[size(steps_[step].writes)];
        const std::size_t needed = size(planes(made) * made.grid.voxels() + slack);
        std::size_t best = sizes.size();
        for (std::size_t i = 0; i < sizes.size(); ++i) {
            if (tensors_[size(holder[i])].last_reader >= static_cast<int>(step)) continue;
            // The smallest that is large enough, else the largest.
            const bool better =
                best == sizes.size() ||
                (sizes[best] >= needed ? sizes[i] >= needed && sizes[i] < sizes[best] : sizes[i] > sizes[best]);
            if (better) best = i;
        }
        if (best == sizes.size()) {
            sizes.push_back(0);
            holder.push_back(none);
        }
        sizes[best] = std::max(sizes[best], needed);
        holder[best] = steps_[step].writes;
        buffer_of[step] = best;
    }
    buffers_.clear();
    for (const std::size_t words : sizes) buffers_.emplace_back(words);
    for (std::size_t step = 0; step < steps_.size(); ++step)
        tensors_[size(steps_[step].writes)].words = buffers_[buffer_of[step]].data();
    placed_ = true;
}

void Network::run(const float* crop, float* softmax, std::uint32_t absent) {
    const Tensor& made = tensors_.back();
    demand(made.classes && made.grid.voxels() == tensors_.front().grid.voxels(),
           "the last layer is not one of classes on the input's grid");
    demand(absent + 1 < 1U << tensors_.front().channels, "every channel is absent, or one that is not there");
    if (!placed_) place_tensors();
    crop_ = crop;
    absent_ = absent;
    softmax_ = softmax;
    for (const Step& step : steps_) step.run();
}

std::int64_t Network::bytes() const {
    std::size_t words = 0;
    for (const auto& buffer : buffers_) words += buffer.size();
    for (const auto& weights : weights_) words += weights->size();
    return static_cast<std::int64_t>(words * sizeof(std::uint32_t));
}

}  // namespace brats::network
