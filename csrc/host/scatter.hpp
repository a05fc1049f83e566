// From the network's probabilities to a label map on the volume's grid: the mirrored pair's mean, resampling back,
// argmax and label scheme in one pass. The probabilities are never made on the volume's grid.
#pragma once

#include <array>
#include <cstdint>
#include <stdexcept>

#include "volume.hpp"

namespace brats {

inline constexpr std::size_t classes = 4;

// The network gave a NaN or an infinity.
struct NotFinite : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// batch x 4 x size[0] x size[1] x size[2] floats in C order. Of a batch of two, the second is mirrored along axis 1.
struct Probabilities {
    const float* data;
    std::int64_t batch;
    Index3 size;
};

struct LabelMap {
    std::uint8_t* data;
    Index3 shape;    // voxels
    Index3 strides;  // bytes, of any sign
};

using LabelValues = std::array<std::uint8_t, classes>;  // the value written for each class

struct Tally {
    std::array<std::int64_t, classes> counts;  // voxels of each class, in the whole label map
    Box box;                                   // the tightest around classes 1 to 3; empty (all zeros) without them
};

// Writes every voxel of `labels`: class 0 outside the box. Throws NotFinite where a probability is not finite.
Tally scatter(const Probabilities& probabilities, const Box& box, const LabelValues& values, const LabelMap& labels,
              int threads);

}  // namespace brats
