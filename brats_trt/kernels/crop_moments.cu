// One modality as stored -> the moments of its resampled box, in parts, for the card's normalisation.
//
//   numpy: c = zoom(crop(v, box), size, order=1); c[c != 0].size, .mean(), .var()
//
// A warp takes a row of samples along the volume's fastest axis at a time. Launch with foreground_blocks blocks of 256.
#include "sampler.cuh"
#include "tally.cuh"

using namespace brats;

extern "C" __global__ void __launch_bounds__(256, 3)
    crop_moments(const unsigned char* data, const Setup* setup, const Plan* plan, const Taps* taps, int modality,
                 Foreground* parts) {
    if (plan->status != 0) return;
    const Layout& layout = setup->modality[modality];
    const Sampler sampler{origin_of(data, layout, *plan), layout, Scorer(Moments{}), is_scaled(layout)};
    const int fast = static_cast<int>(layout.axes[0]);
    const int middle = static_cast<int>(layout.axes[1]);
    const int slow = static_cast<int>(layout.axes[2]);
    const int height = static_cast<int>(setup->size[middle]);
    const int rows = height * static_cast<int>(setup->size[slow]);

    Tally tally;
    int at[3];
    const int warps = static_cast<int>(gridDim.x * blockDim.x / 32);
    for (int row = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x) / 32; row < rows; row += warps) {
        at[middle] = row % height;
        at[slow] = row / height;
        for (at[fast] = threadIdx.x % 32; at[fast] < setup->size[fast]; at[fast] += 32) {
            const float value = sampler.sample(taps->axis[0][at[0]], taps->axis[1][at[1]], taps->axis[2][at[2]]);
            if (value != 0.0F) tally.include(static_cast<double>(value), at[fast], at[middle], at[slow]);
        }
    }
    store_part(tally, layout.axes, parts[blockIdx.x]);
}
