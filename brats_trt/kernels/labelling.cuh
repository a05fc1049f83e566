// Classes -> a label map and the voxels of each.
#pragma once

#include "common.cuh"

namespace brats {

constexpr int voxels_per_block = 4096;

__device__ __forceinline__ float4 mix4(const float4& a, const float4& b, float w) {
    return make_float4(mix(a.x, b.x, w), mix(a.y, b.y, w), mix(a.z, b.z, w), mix(a.w, b.w, w));
}

// Ties go to the lower class.
__device__ __forceinline__ int greatest(const float4& p) {
    const int low = p.y > p.x ? 1 : 0;
    const float best_low = p.y > p.x ? p.y : p.x;
    const int high = p.w > p.z ? 3 : 2;
    const float best_high = p.w > p.z ? p.w : p.z;
    return best_high > best_low ? high : low;
}

// A block takes 4096 voxels that follow each other in the label map's memory: 256 threads label 16 each, neighbours
// side by side, into shared memory, and then write 16 bytes each. `class_at` takes a voxel's place in that memory.
template <class ClassAt>
__device__ __forceinline__ void label_block(ClassAt class_at, Int64 voxels, const Setup& setup, Plan& plan,
                                            unsigned char* labels) {
    const Int64 first = static_cast<Int64>(blockIdx.x) * voxels_per_block;
    __shared__ __align__(16) unsigned char block[voxels_per_block];

    int counts[classes] = {0, 0, 0, 0};
    for (int i = threadIdx.x; i < voxels_per_block; i += blockDim.x) {
        if (first + i >= voxels) break;
        const int found = class_at(first + i);
        for (int c = 0; c < classes; ++c) counts[c] += found == c;
        block[i] = static_cast<unsigned char>(setup.values[found]);
    }
    for (int c = 0; c < classes; ++c) {
        for (int offset = 16; offset > 0; offset /= 2) counts[c] += __shfl_down_sync(0xffffffffU, counts[c], offset);
        if (threadIdx.x % 32 == 0 && counts[c] > 0) atomicAdd(&plan.counts[c], static_cast<UInt64>(counts[c]));
    }
    __syncthreads();

    const int start = threadIdx.x * 16;
    if (first + start + 16 <= voxels)
        *reinterpret_cast<uint4*>(labels + first + start) = *reinterpret_cast<const uint4*>(block + start);
    else
        for (int i = start; i < start + 16 && first + i < voxels; ++i) labels[first + i] = block[i];
}

}  // namespace brats
