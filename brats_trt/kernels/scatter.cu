// Probabilities of the crop -> the label map: resample back, argmax, label values, and the voxels of each class.
//
//   scipy: oracle.restore without the mirrored mean, which interleave took
//
// A block takes 4096 voxels that follow each other in the label map's memory: 256 threads label 16 each, neighbours
// side by side, into shared memory, and then write 16 bytes each.
#include "common.cuh"

namespace brats {

constexpr int voxels_per_block = 4096;

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

__device__ __forceinline__ float4 mix4(const float4& a, const float4& b, float w) {
    return make_float4(mix(a.x, b.x, w), mix(a.y, b.y, w), mix(a.z, b.z, w), mix(a.w, b.w, w));
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

// Ties go to the lower class.
__device__ __forceinline__ int greatest(const float4& p) {
    const int low = p.y > p.x ? 1 : 0;
    const float best_low = p.y > p.x ? p.y : p.x;
    const int high = p.w > p.z ? 3 : 2;
    const float best_high = p.w > p.z ? p.w : p.z;
    return best_high > best_low ? high : low;
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
    const Int64 first = static_cast<Int64>(blockIdx.x) * voxels_per_block;
    __shared__ __align__(16) unsigned char block[voxels_per_block];

    int counts[classes] = {0, 0, 0, 0};
    for (int i = threadIdx.x; i < voxels_per_block; i += blockDim.x) {
        if (first + i >= voxels) break;
        const int found = class_at(first + i, probabilities, grid, *taps);
        for (int c = 0; c < classes; ++c) counts[c] += found == c;
        block[i] = static_cast<unsigned char>(setup->values[found]);
    }
    for (int c = 0; c < classes; ++c) {
        for (int offset = 16; offset > 0; offset /= 2) counts[c] += __shfl_down_sync(0xffffffffU, counts[c], offset);
        if (threadIdx.x % 32 == 0 && counts[c] > 0) atomicAdd(&plan->counts[c], static_cast<UInt64>(counts[c]));
    }
    __syncthreads();

    const int start = threadIdx.x * 16;
    if (first + start + 16 <= voxels)
        *reinterpret_cast<uint4*>(labels + first + start) = *reinterpret_cast<const uint4*>(block + start);
    else
        for (int i = start; i < start + 16 && first + i < voxels; ++i) labels[first + i] = block[i];
}
