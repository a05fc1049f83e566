// A place on one grid -> the voxels of another that it lies between.
#pragma once

#include "common.cuh"

namespace brats {

// Between which voxels of each axis a position lies, and whether the volume reaches it.
struct Corners {
    Corner axis[3];
    bool inside;
};

__device__ __forceinline__ Corners corners_at(const GridMap& map, const int (&at)[3], const Int64 (&shape)[3]) {
    Corners corners{};
    corners.inside = true;
    for (int k = 0; k < 3; ++k) {
        const double (&row)[4] = map.rows[k];
        const double position = row[0] * at[0] + row[1] * at[1] + row[2] * at[2] + row[3];
        const int extent = static_cast<int>(shape[k]);
        corners.axis[k] = corner_of(position, extent);
        corners.inside = corners.inside && reaches(position, extent);
    }
    return corners;
}

}  // namespace brats
