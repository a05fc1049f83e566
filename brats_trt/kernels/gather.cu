// One modality as stored -> its channel of the network's input: crop, normalise and resample, and the mirrored entry.
//
//   scipy: oracle.prepare_channel, which is zoom(crop(normalise_authors(v), box), size, order=1), or with CARD
//          normalise_card(zoom(crop(v, box), size, order=1))
//
// A block of 32 x 8 threads makes a tile of 32 x 32 samples. Lanes run along the axis that is fastest in memory while
// they read, and along z, the tensor's fastest, while they write; the tile turns from one to the other in shared
// memory. Grid: x = tiles along the fastest axis, y = tiles along the other axis of the tile, z = samples of the third.
#include "sampler.cuh"
#include "tile.cuh"

namespace brats {

template <bool with_scale>
__device__ __forceinline__ void make_tile(const Sampler<with_scale>& sampler, const Setup& setup, const Taps& taps,
                                          const Place& place, float (&turned)[tile][tile + 1]) {
    int at[3];
    at[place.third] = blockIdx.z;
    at[place.fast] = place.first_fast + threadIdx.x;
    const int size_fast = static_cast<int>(setup.size[place.fast]);
    const int size_other = static_cast<int>(setup.size[place.other]);
    if (at[place.fast] >= size_fast) return;
    const AxisTap along = taps.axis[place.fast][at[place.fast]];
    for (int row = threadIdx.y; row < tile; row += blockDim.y) {
        at[place.other] = place.first_other + row;
        if (at[place.other] >= size_other) break;
        const AxisTap x = place.fast == 0 ? along : taps.axis[0][at[0]];
        const AxisTap y = place.fast == 1 ? along : taps.axis[1][at[1]];
        const AxisTap z = place.fast == 2 ? along : taps.axis[2][at[2]];
        turned[row][threadIdx.x] = sampler.value(x, y, z);
    }
}

}  // namespace brats

using namespace brats;

extern "C" __global__ void __launch_bounds__(256, card ? 4 : 5)
    gather(const unsigned char* data, const Setup* setup, const Plan* plan, const Taps* taps, int modality,
           Tensor* input) {
    if (plan->status != 0) return;
    const Layout& layout = setup->modality[modality];
    const Moments& moments = card ? plan->resampled[modality] : plan->modality[modality].moments;
    const unsigned char* origin = origin_of(data, layout, *plan);

    const Place place = place_along(static_cast<int>(layout.axes[0]));
    __shared__ float turned[tile][tile + 1];
    if (is_scaled(layout))
        make_tile(Sampler<true>{origin, layout, Scorer(moments)}, *setup, *taps, place, turned);
    else
        make_tile(Sampler<false>{origin, layout, Scorer(moments)}, *setup, *taps, place, turned);
    __syncthreads();

    store_tile(turned, place, *setup, modality, input);
}
