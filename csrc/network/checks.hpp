// What a layer demands of its tensors and weights.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "network.hpp"

namespace brats::network {

// Beyond it, numbers of voxels might overflow.
inline constexpr std::int64_t longest_axis = 4096;

inline bool is_even(const Grid& grid) { return grid.depth % 2 == 0 && grid.height % 2 == 0 && grid.width % 2 == 0; }

inline void demand(bool holds, const std::string& otherwise) {
    if (!holds) throw std::invalid_argument(otherwise);
}

inline void check(const Grid& grid) {
    demand(std::min({grid.depth, grid.height, grid.width}) > 0, "a grid without voxels");
    demand(std::max({grid.depth, grid.height, grid.width}) <= longest_axis,
           "a grid of more than " + std::to_string(longest_axis) + " voxels along an axis");
}

inline bool are_finite(Floats values) {
    return std::ranges::all_of(values, [](float value) { return std::isfinite(value); });
}

// The output channels, of a group where there are several, that have so many weights each.
inline std::int64_t outputs_of(Floats weights, std::int64_t of_one) {
    const auto count = static_cast<std::int64_t>(weights.size());
    demand(count > 0 && count % of_one == 0, "weights of another size than the layer's");
    demand(are_finite(weights), "weights that are not finite");
    return count / of_one;
}

}  // namespace brats::network
