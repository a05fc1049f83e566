// The parts of four foregrounds -> the box, the moments, and the taps of both resamplings; all that the host would
// otherwise have to read back to decide what comes next.
//
//   scipy: the box of tests/oracle.py's authors_box, the coordinates of scipy.ndimage.zoom with the last one clamped
//
// One block of 128 threads: a warp a modality, then all threads make taps.
#include "tally.cuh"

namespace brats {

// The authors slice [first:last], so that the last plane of each axis is lost.
__device__ __forceinline__ void choose_box(Plan& plan) {
    plan.status = 0;
    plan.not_finite = 0;
    for (int m = 0; m < modalities; ++m) {
        const double variance = variance_of(plan.modality[m].moments);
        if (plan.modality[m].moments.count == 0)
            plan.status |= 1LL << (Fault::empty + m);
        else if (!is_finite(variance))
            plan.status |= 1LL << (Fault::overflow + m);
        else if (!(variance > 0.0))
            plan.status |= 1LL << (Fault::constant + m);
    }
    for (int k = 0; k < 3; ++k) {
        Int64 lower = plan.modality[0].lower[k];
        Int64 upper = plan.modality[0].upper[k];
        for (int m = 1; m < modalities; ++m) {
            lower = min(lower, plan.modality[m].lower[k]);
            upper = max(upper, plan.modality[m].upper[k]);
        }
        plan.lower[k] = lower;
        plan.extent[k] = upper - lower - 1;
        if (plan.extent[k] < 2) plan.status |= 1LL << (Fault::flat + k);
    }
    for (int c = 0; c < classes; ++c) plan.counts[c] = 0;
}

// A weight short of 1 stays short of it: a sample takes part of a voxel here wherever it does in double.
__device__ __forceinline__ AxisTap as_float(const Tap& exact) {
    constexpr float below_one = 0x1.fffffep-1F;
    const auto weight = static_cast<float>(exact.weight);
    return {static_cast<int>(exact.lower), exact.weight < 1.0 ? min(weight, below_one) : weight};
}

}  // namespace brats

using namespace brats;

// `parts` holds foreground_blocks parts of each modality, one modality after the other.
extern "C" __global__ void __launch_bounds__(128)
    plan(const Setup* setup, const Foreground* parts, Plan* made, Taps* gather_taps, Taps* scatter_taps) {
    const Foreground merged = merge_parts(parts);
    if (threadIdx.x % 32 == 0) made->modality[threadIdx.x / 32] = merged;
    __syncthreads();
    if (threadIdx.x == 0) choose_box(*made);
    __syncthreads();
    if (made->status != 0) return;
    for (int k = 0; k < 3; ++k) {
        const Int64 extent = made->extent[k];
        const Int64 size = setup->size[k];
        for (int i = threadIdx.x; i < size; i += blockDim.x) gather_taps->axis[k][i] = as_float(tap(i, extent, size));
        for (int i = threadIdx.x; i < extent; i += blockDim.x)
            scatter_taps->axis[k][i] = as_float(tap(i, size, extent));
    }
}

namespace brats {

// Samples are floats, of which -ftz takes up to 2^-126: beside a deviation from 2^-100 on that is 2^-26 of a score. The
// foreground's moments are of the voxels as stored, which no flush has touched.
__device__ __forceinline__ bool is_faint(const Moments& foreground, const Moments& resampled) {
    constexpr double least_variance = 0x1p-200;
    return variance_of(foreground) < least_variance ||
           (variance_of(resampled) > 0.0 && variance_of(resampled) < least_variance);
}

}  // namespace brats

// For the card's normalisation: the parts of four resampled crops -> their moments.
extern "C" __global__ void __launch_bounds__(128) plan_crop(const Foreground* parts, Plan* made) {
    if (made->status != 0) return;
    const Foreground merged = merge_parts(parts);
    const int modality = threadIdx.x / 32;
    if (threadIdx.x % 32 != 0) return;
    made->resampled[modality] = merged.moments;
    const bool faint = is_faint(made->modality[modality].moments, merged.moments);
    if (faint || !(variance_of(merged.moments) > 0.0)) {
        const Fault fault = faint ? Fault::crop_faint : Fault::crop_constant;
        atomicOr(reinterpret_cast<UInt64*>(&made->status), 1ULL << (fault + modality));
    }
}
