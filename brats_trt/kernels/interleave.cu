// The network's probabilities -> the mean of the mirrored pair, four classes side by side, in the label map's order.
//
//   numpy: oracle.average_mirrored(p), then np.moveaxis(_, 0, -1) in the memory order of the label map
//
// So that scatter reads one 16-byte vector a corner, and neighbours in the label map read neighbours here. A block of
// 32 x 8 threads turns a tile of 32 x 32 samples in shared memory, as gather does.
// Grid: x = tiles along z, y = tiles along the other axis of the tile, z = samples of the third.
#include "common.cuh"

namespace brats {
constexpr int tile = 32;
}

using namespace brats;

extern "C" __global__ void __launch_bounds__(256)
    interleave(const Tensor* softmax, const Setup* setup, Plan* plan, float4* probabilities) {
    if (plan->status != 0) return;
    const int fast = static_cast<int>(setup->label_axes[0]);
    const int middle = static_cast<int>(setup->label_axes[1]);
    const int slow = static_cast<int>(setup->label_axes[2]);
    const int other = fast == 2 ? 1 : fast;
    const int third = 3 - 2 - other;
    const Int64 size_y = setup->size[1];
    const Int64 size_z = setup->size[2];
    const Int64 voxels = setup->size[0] * size_y * size_z;
    __shared__ float turned[classes][tile][tile + 1];

    int at[3];
    at[third] = blockIdx.z;
    at[2] = blockIdx.x * tile + threadIdx.x;
    bool finite = true;
    for (int row = threadIdx.y; row < tile; row += blockDim.y) {
        at[other] = blockIdx.y * tile + row;
        if (at[2] >= size_z || at[other] >= setup->size[other]) continue;
        const Int64 plain = (at[0] * size_y + at[1]) * size_z + at[2];
        const Int64 mirrored = (at[0] * size_y + size_y - 1 - at[1]) * size_z + at[2] + classes * voxels;
        for (int c = 0; c < classes; ++c) {
            float value = load(softmax[plain + c * voxels]);
            if (setup->batch == 2) value = 0.5F * (value + load(softmax[mirrored + c * voxels]));
            finite = finite && is_finite(value);
            turned[c][row][threadIdx.x] = value;
        }
    }
    if (!finite) atomicExch(reinterpret_cast<UInt64*>(&plan->not_finite), 1ULL);
    __syncthreads();

    for (int row = threadIdx.y; row < tile; row += blockDim.y) {
        const int on_z = fast == 2 ? threadIdx.x : row;
        const int on_other = fast == 2 ? row : threadIdx.x;
        at[2] = blockIdx.x * tile + on_z;
        at[other] = blockIdx.y * tile + on_other;
        if (at[2] >= size_z || at[other] >= setup->size[other]) continue;
        const Int64 index = (at[slow] * setup->size[middle] + at[middle]) * setup->size[fast] + at[fast];
        probabilities[index] = make_float4(turned[0][on_other][on_z], turned[1][on_other][on_z],
                                           turned[2][on_other][on_z], turned[3][on_other][on_z]);
    }
}
