// A volume on another grid, by one affine map and one interpolation, whatever lies between the two grids.
#pragma once

#include <array>

#include "volume.hpp"

namespace brats {

// From a voxel of the output to a position in the volume, in voxels: matrix * voxel + offset.
struct AffineMap {
    std::array<std::array<double, 3>, 3> matrix;
    std::array<double, 3> offset;
};

// Throws std::invalid_argument.
void check_finite(const AffineMap& map);

// size[0] x size[1] x size[2] floats in C order.
struct FloatVolume {
    float* data;
    Index3 size;
};

// Trilinear. A voxel reaches half a voxel beyond its centre: there the outermost samples hold, and further out is 0, as
// is what is not finite. Each size is one or more, and the volume has fewer than 2^31 voxels.
void align(const Volume& volume, const AffineMap& map, const FloatVolume& out, int threads);

}  // namespace brats
