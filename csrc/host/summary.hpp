// What label maps are made with, whichever way the probabilities come to their grid: a row's classes counted and boxed,
// the background filled in, the probabilities checked.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <vector>

#include "scatter.hpp"

namespace brats {

// The classes of a part of a label map.
struct Summary {
    std::array<std::int64_t, classes> counts{};
    Index3 lower{std::numeric_limits<std::int64_t>::max(), std::numeric_limits<std::int64_t>::max(),
                 std::numeric_limits<std::int64_t>::max()};
    Index3 upper{0, 0, 0};

    void include(const Index3& voxel) {
        for (std::size_t axis = 0; axis < 3; ++axis) {
            lower[axis] = std::min(lower[axis], voxel[axis]);
            upper[axis] = std::max(upper[axis], voxel[axis] + 1);
        }
    }

    void merge(const Summary& more) {
        for (std::size_t c = 0; c < classes; ++c) counts[c] += more.counts[c];
        for (std::size_t axis = 0; axis < 3; ++axis) {
            lower[axis] = std::min(lower[axis], more.lower[axis]);
            upper[axis] = std::max(upper[axis], more.upper[axis]);
        }
    }
};

// Adds a row of classes whose first is at `voxel` and whose others follow along `axis`.
void summarise(const std::uint8_t* row, std::int64_t n, Index3 voxel, std::size_t axis, Summary& summary);

// The parts together, and `outside` voxels of background beside them.
Tally tally_of(const std::vector<Summary>& parts, std::int64_t outside);

void fill(const LabelMap& labels, std::uint8_t value, int threads);

// Throws NotFinite.
void check_finite(const Probabilities& probabilities, int threads);

}  // namespace brats
