// Probabilities of the crop -> the label map: resample back, argmax, label values, and the voxels of each class.
//
//   scipy: oracle.restore without the mirrored mean, which interleave took
//
// Launch with blocks of 256 threads, each of which takes 4096 voxels.
#include "labelling.cuh"

namespace brats {

// Axes 0, 1, 2 here are those of the label map's memory, from the fastest to the slowest.
struct Grid {
    int axis[3];
    Int64 shape[3];
    Int64 size[3];
    Int64 lower[3];
    Int64 extent[3];
};

__device__ __forceinline__ Grid grid_of(const Setup& setup, const Plan& plan) {
    Grid grid{};
    for (int k = 0; k < 3; ++k) {
        grid.axis[k] = static_cast<int>(setup.label_axes[k]);
        grid.shape[k] = setup.modality[0].shape[grid.axis[k]];
        grid.size[k] = setup.size[grid.axis[k]];
        grid.lower[k] = plan.lower[grid.axis[k]];
        grid.extent[k] = plan.extent[grid.axis[k]];
    }
    return grid;
}

// Each corner is loaded whole: 16 bytes a lane.
__device__ __forceinline__ float4 row(const float4* at, const AxisTap& fast) {
    const float4 lower = at[fast.lower];
    const float4 upper = at[fast.lower + 1];
    return mix4(lower, upper, fast.weight);
}

__device__ __forceinline__ float4 sample(const float4* p, const Grid& grid, const AxisTap (&taps)[3]) {
    const Int64 plane = grid.size[1] * grid.size[0];
    const float4* lower = p + taps[2].lower * plane + taps[1].lower * grid.size[0];
    const float4 below = mix4(row(lower, taps[0]), row(lower + grid.size[0], taps[0]), taps[1].weight);
    const float4* upper = lower + plane;
    const float4 above = mix4(row(upper, taps[0]), row(upper + grid.size[0], taps[0]), taps[1].weight);
    return mix4(below, above, taps[2].weight);
}

__device__ __forceinline__ int class_at(Int64 voxel, const float4* p, const Grid& grid, const Taps& taps) {
    const auto plane = static_cast<UInt32>(grid.shape[0] * grid.shape[1]);
    const auto index = static_cast<UInt32>(voxel);
    const UInt32 in_plane = index % plane;
    const Int64 at[3] = {static_cast<Int64>(in_plane % static_cast<UInt32>(grid.shape[0])) - grid.lower[0],
                         static_cast<Int64>(in_plane / static_cast<UInt32>(grid.shape[0])) - grid.lower[1],
                         static_cast<Int64>(index / plane) - grid.lower[2]};
    AxisTap here[3];
    for (int k = 0; k < 3; ++k) {
        if (at[k] < 0 || at[k] >= grid.extent[k]) return 0;
        here[k] = taps.axis[grid.axis[k]][at[k]];
    }
    return greatest(sample(p, grid, here));
}

}  // namespace brats

using namespace brats;

extern "C" __global__ void __launch_bounds__(256)
    scatter(const float4* probabilities, const Setup* setup, Plan* plan, const Taps* taps, unsigned char* labels) {
    if (plan->status != 0) return;
    const Grid grid = grid_of(*setup, *plan);
    const Int64 voxels = grid.shape[0] * grid.shape[1] * grid.shape[2];
    label_block([&](Int64 voxel) { return class_at(voxel, probabilities, grid, *taps); }, voxels, *setup, *plan,
                labels);
}
