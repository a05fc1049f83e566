// One modality's series on its own grid -> its channel of the network's input, and the mirrored entry.
//
//   scipy: oracle.align, which is map_coordinates(series, to_series @ sample, order=1), normalised, times the share of
//          the sample that the mask covers
//
// Alignment, crop and resampling are one map, so that no voxel is interpolated twice. Lanes read along the axis of the
// crop along which the series' memory runs most.
#include "placed.cuh"
#include "tile.cuh"

using namespace brats;

extern "C" __global__ void __launch_bounds__(256, 3)
    align(const unsigned char* data, const unsigned char* mask, const Setup* setup, const Placement* placement,
          const Plan* plan, int modality, Tensor* input) {
    if (plan->status != 0) return;
    const PlacedSampler sampler = sampler_of(data, mask, *placement, modality);
    const Scorer scorer(card ? plan->resampled[modality] : plan->modality[modality].moments);
    const Place place = place_along(static_cast<int>(placement->run[modality]));
    __shared__ float turned[tile][tile + 1];

    int at[3];
    at[place.third] = blockIdx.z;
    at[place.fast] = place.first_fast + threadIdx.x;
    if (at[place.fast] < setup->size[place.fast]) {
        for (int row = threadIdx.y; row < tile; row += blockDim.y) {
            at[place.other] = place.first_other + row;
            if (at[place.other] >= setup->size[place.other]) break;
            const Sample found = sampler.sample(at);
            const float score = scorer.score(found.intensity);
            turned[row][threadIdx.x] = found.share > 0.0F ? (card ? score : mapped(score)) * found.share : 0.0F;
        }
    }
    __syncthreads();

    store_tile(turned, place, *setup, modality, input);
}
