// Separable linear resampling with aligned end points, one axis.
#pragma once

#include <cstdint>
#include <vector>

#include "arithmetic.cuh"

namespace brats {

// For each output sample, the input sample below it and the weight of the one above.
struct Taps {
    Taps(std::int64_t from, std::int64_t to) : inputs(from), outputs(to) {
        lower.reserve(static_cast<std::size_t>(outputs));
        weight.reserve(static_cast<std::size_t>(outputs));
        for (std::int64_t k = 0; k < outputs; ++k) {
            const Tap at = tap(k, inputs, outputs);
            lower.push_back(static_cast<std::int32_t>(at.lower));
            weight.push_back(at.weight);
        }
    }

    [[nodiscard]] Tap at(std::int64_t k) const {
        const auto index = static_cast<std::size_t>(k);
        return {lower[index], weight[index]};
    }

    std::int64_t inputs;
    std::int64_t outputs;
    std::vector<std::int32_t> lower;
    std::vector<double> weight;
};

}  // namespace brats
