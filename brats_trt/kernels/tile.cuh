// A block's part of the network's input: a tile of 32 x 32 samples, made along one axis and written along another.
//
// 32 x 8 threads. Lanes run along the axis that is fastest in the volume's memory while they read, and along z, the
// tensor's fastest, while they write; the tile turns from one to the other in shared memory. Grid: x = tiles along the
// fastest axis, y = tiles along the other axis of the tile, z = samples of the third.
#pragma once

#include "common.cuh"

namespace brats {

constexpr int tile = 32;

// Of the axes: the tile lies along `fast` and `other`, one of which is z.
struct Place {
    int fast;
    int other;
    int third;
    int first_fast;
    int first_other;
};

__device__ __forceinline__ Place place_along(int fast) {
    const int other = fast == 2 ? 1 : 2;
    const int first_fast = blockIdx.x * tile;
    const int first_other = blockIdx.y * tile;
    return {fast, other, 3 - fast - other, first_fast, first_other};
}

// Writes the modality's channel, and that of the mirrored entry.
__device__ __forceinline__ void store_tile(const float (&turned)[tile][tile + 1], const Place& place,
                                           const Setup& setup, int modality, Tensor* input) {
    const Int64 size_y = setup.size[1];
    const Int64 size_z = setup.size[2];
    const Int64 voxels = setup.size[0] * size_y * size_z;
    Tensor* plain = input + modality * voxels;
    Tensor* mirrored = input + (modalities + modality) * voxels;
    int at[3];
    at[place.third] = blockIdx.z;
    for (int row = threadIdx.y; row < tile; row += blockDim.y) {
        const int along_z = threadIdx.x;
        at[place.fast] = place.first_fast + (place.fast == 2 ? along_z : row);
        at[place.other] = place.first_other + (place.fast == 2 ? row : along_z);
        if (at[place.fast] >= setup.size[place.fast] || at[place.other] >= setup.size[place.other]) continue;
        const float value = place.fast == 2 ? turned[row][along_z] : turned[along_z][row];
        store(plain + (at[0] * size_y + at[1]) * size_z + at[2], value);
        if (setup.batch == 2) store(mirrored + (at[0] * size_y + size_y - 1 - at[1]) * size_z + at[2], value);
    }
}

}  // namespace brats
