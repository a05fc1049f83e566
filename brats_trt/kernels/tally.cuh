// Sums over many voxels that come out the same on every run: threads, warps and blocks merge in a fixed tree.
#pragma once

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

// Merges what a block of 256 threads has seen, by all of them; `axes` are x, y, z = 0, 1, 2 in the tallies' order.
__device__ __forceinline__ void store_part(const Tally& tally, const Int64 (&axes)[3], Foreground& part) {
    Foreground mine{};  // its axes in memory order, until it is written
    mine.moments = tally.moments();
    mine.nonfinite = tally.nonfinite;
    for (int k = 0; k < 3; ++k) {
        mine.lower[k] = tally.lower[k];
        mine.upper[k] = tally.upper[k];
    }
    for (int offset = 16; offset > 0; offset /= 2) merge_lanes(mine, offset);

    __shared__ Foreground of_warp[8];
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = mine;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int warp = 1; warp < 8; ++warp) merge(mine, of_warp[warp]);
        part.moments = mine.moments;
        part.nonfinite = mine.nonfinite;
        for (int k = 0; k < 3; ++k) {
            part.lower[axes[k]] = mine.lower[k];
            part.upper[axes[k]] = mine.upper[k];
        }
    }
}

// The foreground_blocks parts of a modality as one, by a warp a modality; lane 0 of each returns it.
__device__ __forceinline__ Foreground merge_parts(const Foreground* parts) {
    const int warp = threadIdx.x / 32;
    const int lane = threadIdx.x % 32;
    constexpr int parts_per_lane = foreground_blocks / 32;

    __shared__ Foreground of_lane[modalities][32];
    const Foreground* first = parts + warp * foreground_blocks + lane * parts_per_lane;
    Foreground mine = first[0];
    for (int i = 1; i < parts_per_lane; ++i) merge(mine, first[i]);
    of_lane[warp][lane] = mine;
    __syncthreads();
    if (lane == 0)
        for (int other = 1; other < 32; ++other) merge(mine, of_lane[warp][other]);
    return mine;
}

}  // namespace brats
