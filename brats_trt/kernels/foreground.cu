// One modality as stored -> its foreground, in parts: box, count, mean and squared deviations, one pass.
//
//   numpy: v = stored * slope + intercept; m = isfinite(v) & (v > 0); argwhere(m), m.sum(), v[m].mean(), v[m].var()
//
// A warp takes a row along the fastest axis at a time, so that its lanes read side by side. Every thread sums in double
// about the first foreground value it meets, then threads, warps and blocks merge in a fixed tree: no atomics, and the
// same bits on every run and every device. Launch with foreground_blocks blocks of 256 threads.
#include "common.cuh"

namespace brats {

constexpr int no_lower = 0x7fffffff;

// What a thread has seen; a row's place is found by division once a row.
struct Tally {
    Int64 count = 0;
    Int64 nonfinite = 0;
    double shift = 0.0;
    double sum = 0.0;
    double squares = 0.0;
    int lower[3] = {no_lower, no_lower, no_lower};  // in memory order
    int upper[3] = {0, 0, 0};

    __device__ __forceinline__ void include(double value, int fast, int middle, int slow) {
        if (count == 0) shift = value;
        const double deviation = value - shift;
        ++count;
        sum += deviation;
        squares += deviation * deviation;
        const int at[3] = {fast, middle, slow};
        for (int k = 0; k < 3; ++k) {
            lower[k] = min(lower[k], at[k]);
            upper[k] = max(upper[k], at[k] + 1);
        }
    }

    __device__ __forceinline__ Moments moments() const {
        if (count == 0) return {};
        const auto n = static_cast<double>(count);
        return {count, shift + sum / n, squares - sum * sum / n};
    }
};

template <class Value>
__device__ __forceinline__ void look_at(Tally& tally, Value value, int fast, int middle, int slow) {
    if (is_foreground(value))
        tally.include(static_cast<double>(value), fast, middle, slow);
    else if (!is_finite(value))
        ++tally.nonfinite;
}

__device__ __forceinline__ void merge_lanes(Foreground& mine, int offset) {
    constexpr unsigned all = 0xffffffffU;
    Moments other;
    other.count = __shfl_down_sync(all, mine.moments.count, offset);
    other.mean = __shfl_down_sync(all, mine.moments.mean, offset);
    other.squares = __shfl_down_sync(all, mine.moments.squares, offset);
    merge(mine.moments, other);
    mine.nonfinite += __shfl_down_sync(all, mine.nonfinite, offset);
    for (int k = 0; k < 3; ++k) {
        mine.lower[k] = min(mine.lower[k], __shfl_down_sync(all, mine.lower[k], offset));
        mine.upper[k] = max(mine.upper[k], __shfl_down_sync(all, mine.upper[k], offset));
    }
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

    Foreground mine{};  // its axes in memory order, until it is written
    mine.moments = tally.moments();
    mine.nonfinite = tally.nonfinite;
    for (int k = 0; k < 3; ++k) {
        mine.lower[k] = tally.lower[k];
        mine.upper[k] = tally.upper[k];
    }
    for (int offset = 16; offset > 0; offset /= 2) merge_lanes(mine, offset);

    __shared__ Foreground of_warp[8];
    if (lane == 0) of_warp[threadIdx.x / 32] = mine;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int warp = 1; warp < 8; ++warp) merge(mine, of_warp[warp]);
        Foreground& part = parts[blockIdx.x];
        part.moments = mine.moments;
        part.nonfinite = mine.nonfinite;
        for (int k = 0; k < 3; ++k) {
            part.lower[layout.axes[k]] = mine.lower[k];
            part.upper[layout.axes[k]] = mine.upper[k];
        }
    }
}
