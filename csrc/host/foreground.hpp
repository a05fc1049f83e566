// Where a modality's foreground lies and what its intensities are: box, count, mean and variance in one pass.
#pragma once

#include "row_kernels.hpp"
#include "volume.hpp"

namespace brats {

struct Foreground {
    Box box{};  // the tightest around the foreground; empty (all zeros) without one
    Moments moments{};
    std::int64_t nonfinite = 0;  // NaN and infinite voxels, which count as background
};

// The same bits whatever the number of threads: planes are reduced apart and merged in order.
Foreground foreground(const Volume& volume, int threads);

}  // namespace brats
