// A cascade of 3-D U-Nets on the CPU, built layer by layer and run as a whole. Tensors are named by the number that the
// layer that makes them returns.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "../host/team.hpp"
#include "layers.hpp"
#include "words.hpp"

namespace brats::network {

using Floats = std::span<const float>;

// An instance norm, and a ReLU behind it.
struct Norm {
    Floats gamma, beta;
    float epsilon;
};

// A tensor, or the greatest of so many equal parts of its channels.
struct Reference {
    int tensor;
    std::int64_t parts;
};

inline constexpr int none = -1;

class Network {
public:
    // Computes with the kernels given, on up to `threads` threads (0: all usable cores). The input has four channels.
    Network(const Kernels& kernels, const Grid& grid, int threads);

    // The network's input, in float32.
    [[nodiscard]] static constexpr int input() { return 0; }

    // Every layer throws std::invalid_argument where it does not fit its tensors, or cannot be computed with the
    // kernels' words: channels of a group, in and out, are to be a multiple of a word's.

    // Means over 2x2x2 voxels of the input or of such means.
    int average(int tensor);
    // 3x3x3 of the input or of means of it: as many groups as channels.
    int convolve_first(int tensor, Floats weights, Floats bias);
    // 3x3x3 of a normalised tensor, plus a residual.
    int convolve(int tensor, const Norm& norm, std::int64_t groups, Floats weights, Floats bias, int residual);
    // 3x3x3 with stride 2 of a tensor as it is.
    int reduce(int tensor, std::int64_t groups, Floats weights, Floats bias);
    // 1x1x1 of tensors one behind the other.
    int mix(std::span<const Reference> sources, Floats weights, Floats bias);
    // 2x2x2 with stride 2, transposed.
    int expand(const Reference& source, Floats weights, Floats bias);
    // 1x1x1 to four classes, and their softmax.
    int classify(int tensor, Floats weights, Floats bias);

    // `crop` is float32 of (4, depth, height, width); `softmax`, of the same shape, takes what the last layer gives.
    // Wherever the greatest of four parts is taken, one for each channel of the input, those whose bit is set in
    // `absent` are left out. Throws std::invalid_argument where all are, and where the last layer is not one of
    // classes on the input's grid. Not to be called by two threads at a time.
    void run(const float* crop, float* softmax, std::uint32_t absent = 0);

    [[nodiscard]] const Kernels& kernels() const { return kernels_; }
    [[nodiscard]] int threads() const { return team_.size(); }
    // Of all tensors and weights.
    [[nodiscard]] std::int64_t bytes() const;

private:
    struct Tensor {
        Grid grid;
        std::int64_t channels;
        bool raw;  // float32 whatever the kernels' words

        Tensor(const Grid& of, std::int64_t channel_count, bool is_raw)
            : grid(of), channels(channel_count), raw(is_raw) {}

        bool measurable = true;  // its layer counts moments where a norm asks for them
        bool classes = false;    // a softmax
        int last_reader = none;
        std::uint32_t* words = nullptr;
        bool counted = false;
        std::vector<Moments> moments;
    };
    struct Step {
        std::function<void()> run;
        int writes;
    };

    [[nodiscard]] const Tensor& tensor(int id, bool raw) const;
    int add(const Grid& grid, std::int64_t channels, bool raw, const std::vector<int>& reads,
            std::function<void()> run);
    const std::vector<std::uint32_t>* keep(std::vector<std::uint32_t> weights);
    const std::vector<float>* keep(Floats values, std::int64_t expected, const char* what);
    [[nodiscard]] std::int64_t block(std::int64_t outputs, std::int64_t inputs) const;
    [[nodiscard]] std::int64_t planes(const Tensor& tensor) const;
    // Whether so many parts are of whole words.
    [[nodiscard]] bool divides(const Tensor& tensor, std::int64_t parts) const;
    [[nodiscard]] Source source(const Reference& reference) const;
    [[nodiscard]] Target target(int id, const std::vector<float>& bias, int residual = none) const;
    template <class Layer>
    void run_parts(int id, const std::vector<Part>& parts, std::int64_t scratch_words, const Layer& layer,
                   void (*kernel)(const Layer&, const Part&, std::uint32_t*));
    void place_tensors();

    const Kernels& kernels_;
    Team team_;
    std::vector<WordBuffer> scratch_;
    std::vector<Tensor> tensors_;
    std::vector<Step> steps_;
    std::vector<std::unique_ptr<std::vector<std::uint32_t>>> weights_;
    std::vector<std::unique_ptr<std::vector<float>>> floats_;
    std::vector<WordBuffer> buffers_;
    const float* crop_ = nullptr;
    std::uint32_t absent_ = 0;
    float* softmax_ = nullptr;
    bool placed_ = false;
};

}  // namespace brats::network
