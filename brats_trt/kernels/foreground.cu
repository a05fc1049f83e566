// One modality as stored -> its foreground, in parts: box, count, mean and squared deviations, one pass.
//
//   numpy: v = stored * slope + intercept; m = isfinite(v) & (v > 0); argwhere(m), m.sum(), v[m].mean(), v[m].var()
//
// A warp takes a row along the fastest axis at a time, so that its lanes read side by side. Every thread sums in double
// about the first foreground value it meets, then threads, warps and blocks merge in a fixed tree: no atomics, and the
// same bits on every run and every device. Launch with foreground_blocks blocks of 256 threads.
#include "tally.cuh"

namespace brats {

template <class Value>
__device__ __forceinline__ void look_at(Tally& tally, Value value, int fast, int middle, int slow) {
    if (is_foreground(value))
        tally.include(as_double(value), fast, middle, slow);
    else if (!is_finite(value))
        ++tally.nonfinite;
}

}  // namespace brats

using namespace brats;

extern "C" __global__ void __launch_bounds__(256, 2)
    foreground(const unsigned char* data, const Setup* setup, int modality, Foreground* parts) {
    const Layout& layout = setup->modality[modality];
    const int fast = static_cast<int>(layout.axes[0]);
    const int middle = static_cast<int>(layout.axes[1]);
    const int slow = static_cast<int>(layout.axes[2]);
    const int width = static_cast<int>(layout.shape[fast]);
    const int height = static_cast<int>(layout.shape[middle]);
    const Int64 rows = layout.shape[middle] * layout.shape[slow];
    const int lane = threadIdx.x % 32;
    const bool with_scale = is_scaled(layout);

    Tally tally;
    const Int64 warps = static_cast<Int64>(gridDim.x) * blockDim.x / 32;
    for (Int64 row = (static_cast<Int64>(blockIdx.x) * blockDim.x + threadIdx.x) / 32; row < rows; row += warps) {
        const int j = static_cast<int>(row % height);
        const int k = static_cast<int>(row / height);
        const unsigned char* first = data + j * layout.strides[middle] + k * layout.strides[slow];
        for (int i = lane; i < width; i += 32) {
            const unsigned char* at = first + i * layout.strides[fast];
            if (with_scale)
                look_at(tally, scaled(at, layout), i, j, k);
            else
                look_at(tally, native(at), i, j, k);
        }
    }

    store_part(tally, layout.axes, parts[blockIdx.x]);
}
