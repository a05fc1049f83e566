// One modality as stored -> its channel of the network's input: crop, normalise and resample, and the mirrored entry.
//
//   scipy: oracle.prepare_channel, which is zoom(crop(normalise_authors(v), box), size, order=1), or with CARD
//          normalise_card(zoom(crop(v, box), size, order=1))
//
// A block of 32 x 8 threads makes a tile of 32 x 32 samples. Lanes run along the axis that is fastest in memory while
// they read, and along z, the tensor's fastest, while they write; the tile turns from one to the other in shared
// memory. Grid: x = tiles along the fastest axis, y = tiles along the other axis of the tile, z = samples of the third.
#include "sampler.cuh"

namespace brats {
constexpr int tile = 32;
}  // namespace brats

using namespace brats;

extern "C" __global__ void __launch_bounds__(256, 4)
    gather(const unsigned char* data, const Setup* setup, const Plan* plan, const Taps* taps, int modality,
           Tensor* input) {
    if (plan->status != 0) return;
    const Layout& layout = setup->modality[modality];
    const Moments& moments = card ? plan->resampled[modality] : plan->modality[modality].moments;
    const Sampler sampler{origin_of(data, layout, *plan), layout, Scorer(moments), is_scaled(layout)};

    // The tile lies along `fast` and `other`; one of them is z.
    const int fast = static_cast<int>(layout.axes[0]);
    const int other = fast == 2 ? 1 : 2;
    const int third = 3 - fast - other;
    const int first_fast = blockIdx.x * tile;
    const int first_other = blockIdx.y * tile;
    __shared__ float turned[tile][tile + 1];

    int at[3];
    at[third] = blockIdx.z;
    at[fast] = first_fast + threadIdx.x;
    const int size_fast = static_cast<int>(setup->size[fast]);
    const int size_other = static_cast<int>(setup->size[other]);
    if (at[fast] < size_fast) {
        const AxisTap along = taps->axis[fast][at[fast]];
        for (int row = threadIdx.y; row < tile; row += blockDim.y) {
            at[other] = first_other + row;
            if (at[other] >= size_other) break;
            const AxisTap x = fast == 0 ? along : taps->axis[0][at[0]];
            const AxisTap y = fast == 1 ? along : taps->axis[1][at[1]];
            const AxisTap z = fast == 2 ? along : taps->axis[2][at[2]];
            turned[row][threadIdx.x] = sampler.value(x, y, z);
        }
    }
    __syncthreads();

    const Int64 size_y = setup->size[1];
    const Int64 size_z = setup->size[2];
    const Int64 voxels = setup->size[0] * size_y * size_z;
    Tensor* plain = input + modality * voxels;
    Tensor* mirrored = input + (modalities + modality) * voxels;
    for (int row = threadIdx.y; row < tile; row += blockDim.y) {
        const int along_z = threadIdx.x;
        at[fast] = first_fast + (fast == 2 ? along_z : row);
        at[other] = first_other + (fast == 2 ? row : along_z);
        if (at[fast] >= setup->size[fast] || at[other] >= setup->size[other]) continue;
        const float value = fast == 2 ? turned[row][along_z] : turned[along_z][row];
        store(plain + (at[0] * size_y + at[1]) * size_z + at[2], value);
        if (setup->batch == 2) store(mirrored + (at[0] * size_y + size_y - 1 - at[1]) * size_z + at[2], value);
    }
}
