// How a layer's work is cut into parts. It depends on the layer alone, so that the number of threads changes no bit.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "layers.hpp"

namespace brats::network {

struct Work {
    Grid grid;  // the output's, or the source's of a deconvolution
    std::int64_t groups;
    std::int64_t channels;    // of a group
    std::int64_t block;       // channels that stay together
    std::int64_t plane_step;  // planes that stay together
};

// `scratch_words` says what a part of so many rows takes.
std::vector<Part> cut(const Work& work, const std::function<std::int64_t(std::int64_t rows)>& scratch_words);

}  // namespace brats::network
