// One modality's series on its own grid -> the moments of its samples in the head, in parts, for the card's
// normalisation.
//
//   numpy: c, share = oracle.align_samples(...); c[share > 0].size, .mean(), .var()
//
// A warp takes a row of samples along z at a time. Launch with foreground_blocks blocks of 256.
#include "placed.cuh"
#include "tally.cuh"

using namespace brats;

extern "C" __global__ void __launch_bounds__(256, 2)
    align_moments(const unsigned char* data, const unsigned char* mask, const Setup* setup, const Placement* placement,
                  const Plan* plan, int modality, Foreground* parts) {
    if (plan->status != 0) return;
    const PlacedSampler sampler = sampler_of(data, mask, *placement, modality);
    const int height = static_cast<int>(setup->size[1]);
    const int rows = height * static_cast<int>(setup->size[0]);
    const int warps = static_cast<int>(gridDim.x * blockDim.x / 32);
    Tally tally;
    int at[3];
    for (int row = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x) / 32; row < rows; row += warps) {
        at[1] = row % height;
        at[0] = row / height;
        for (at[2] = threadIdx.x % 32; at[2] < setup->size[2]; at[2] += 32) {
            const Sample found = sampler.sample(at);
            if (found.share > 0.0F) tally.include(static_cast<double>(found.intensity), at[2], at[1], at[0]);
        }
    }
    constexpr Int64 axes[3] = {2, 1, 0};
    store_part(tally, axes, parts[blockIdx.x]);
}
