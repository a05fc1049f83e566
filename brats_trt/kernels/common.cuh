// What the kernels share: the records that pass between them in device memory, and loads and stores by type. All fields
// of the records are eight bytes wide, so that their layout is the same everywhere; records.py mirrors them.
//
// Build with -DSTORED=<type of a voxel as stored> or -DTENSOR_HALF=<0 or 1> where a kernel needs them.
#pragma once

#include "arithmetic.cuh"

namespace brats {

using Int8 = signed char;
using UInt8 = unsigned char;
using Int16 = short;
using UInt16 = unsigned short;
using Int32 = int;
using UInt32 = unsigned int;
using UInt64 = unsigned long long;
using Float32 = float;
using Float64 = double;

constexpr int modalities = 4;
constexpr int classes = 4;
constexpr int longest_axis = 1024;
enum : int { foreground_blocks = 512 };  // fixed, so that sums merge in one order on every device

// One modality as stored.
struct Layout {
    Int64 shape[3];    // voxels along x, y, z
    Int64 strides[3];  // bytes
    Int64 axes[3];     // x, y, z = 0, 1, 2 from the fastest to the slowest in memory
    double slope;
    double intercept;
};

// From a voxel or sample of one grid to a position on another, in voxels.
struct GridMap {
    double rows[3][4];
};

// The series that a case is sampled from where they have grids of their own.
struct Placement {
    Layout series[modalities];
    GridMap to_series[modalities];  // from a sample of the crop
    Int64 run[modalities];          // the axis of the crop along which the series' memory runs most
    Layout mask;                    // of floats, the share of each voxel that is brain
    GridMap to_mask;                // from a sample of the crop
    Int64 masked;                   // 1 where there is a mask
    GridMap to_crop;                // from a voxel of the label map, as the target's setup has it
};

// What the host says of a case before it starts.
struct Setup {
    Layout modality[modalities];
    Int64 size[3];          // the network's crop
    Int64 batch;            // 1, or 2 with the mirrored entry
    Int64 label_axes[3];    // of the label map, from the fastest to the slowest in memory
    Int64 values[classes];  // written for each class
    double min_region;
};

// Of one modality, or of a part of it.
struct Foreground {
    Moments moments;
    Int64 nonfinite;
    Int64 lower[3];
    Int64 upper[3];  // half-open; lower > upper where there is no foreground
};

__device__ __forceinline__ void merge(Foreground& into, const Foreground& more) {
    merge(into.moments, more.moments);
    into.nonfinite += more.nonfinite;
    for (int k = 0; k < 3; ++k) {
        into.lower[k] = min(into.lower[k], more.lower[k]);
        into.upper[k] = max(into.upper[k], more.upper[k]);
    }
}

// What the device finds out. The host reads it with the label map, and not before.
struct Plan {
    Int64 status;      // 0, or bits of Fault; only plan and plan_crop write it: every kernel returns early by it
    Int64 not_finite;  // 1 where the network gave a NaN or an infinity
    Int64 lower[3];    // of the box as the authors slice it
    Int64 extent[3];
    Foreground modality[modalities];
    Moments resampled[modalities];  // of the crop's samples that are not zero, for the card's normalisation only
    UInt64 counts[classes];         // voxels of each class in the label map
};

// Bits of Plan::status; the modality's or axis's number is added to the first of each kind.
enum Fault : int { empty = 0, constant = 4, overflow = 8, flat = 12, crop_constant = 15, crop_faint = 19 };

struct AxisTap {
    int lower;
    float weight;  // of sample lower + 1
};

// Taps of x, y and z, one after the other.
struct Taps {
    AxisTap axis[3][longest_axis];
};

// IEEE 754 binary16, by its bits: the device's own type would need headers that a user may not have.
struct Half {
    UInt16 bits;
};

__device__ __forceinline__ float widen(Half half) {
    const UInt32 sign = static_cast<UInt32>(half.bits & 0x8000U) << 16;
    const UInt32 rest = half.bits & 0x7fffU;
    if (rest >= 0x7c00U) return __uint_as_float(sign | 0x7f800000U | (rest & 0x3ffU) << 13);
    if (rest < 0x0400U) {  // subnormal: multiples of 2^-24, which no flush to zero may touch on the way
        const float magnitude = static_cast<float>(rest) * 5.9604644775390625e-8F;
        return sign ? -magnitude : magnitude;
    }
    return __uint_as_float(sign | ((rest << 13) + 0x38000000U));
}

// Round to nearest, ties to even. Magnitudes up to 65504 only, which crops and probabilities stay below.
__device__ __forceinline__ Half narrow(float value) {
    const UInt32 bits = __float_as_uint(value);
    const UInt32 magnitude = bits & 0x7fffffffU;
    const UInt32 sign = bits >> 16 & 0x8000U;
    if (magnitude < 0x38800000U) {  // below 2^-14, the least normal: count multiples of 2^-24
        return {
            static_cast<UInt16>(sign | static_cast<UInt32>(__float2int_rn(__uint_as_float(magnitude) * 16777216.0F)))};
    }
    const UInt32 rounded = magnitude + 0x0fffU + (magnitude >> 13 & 1U) - 0x38000000U;
    return {static_cast<UInt16>(sign | rounded >> 13)};
}

template <class T>
__device__ __forceinline__ T widen(T value) {
    return value;
}

// CuPy compiles with -ftz=true, under which comparisons and conversions of float take subnormals for zero. A voxel's
// are not: foreground is told by the bits, and doubles are made of them.
__device__ __forceinline__ bool is_foreground(float value) { return __float_as_uint(value) - 1U < 0x7f7fffffU; }

__device__ __forceinline__ double as_double(float value) {
    const UInt32 bits = __float_as_uint(value);
    if (bits & 0x7f800000U) return static_cast<double>(value);
    const double magnitude = static_cast<double>(bits & 0x7fffffU) * 0x1p-149;
    return bits >> 31 ? -magnitude : magnitude;
}

template <class T>
__device__ __forceinline__ double as_double(T value) {
    return static_cast<double>(value);
}

#ifdef STORED
// The value of a voxel: as stored, or with slope and intercept applied in double, without contraction.
__device__ __forceinline__ auto native(const UInt8* at) { return widen(*reinterpret_cast<const STORED*>(at)); }

__device__ __forceinline__ double scaled(const UInt8* at, const Layout& layout) {
    return __dadd_rn(__dmul_rn(as_double(native(at)), layout.slope), layout.intercept);
}

__device__ __forceinline__ bool is_scaled(const Layout& layout) {
    return layout.slope != 1.0 || layout.intercept != 0.0;
}
#endif

#if defined(TENSOR_HALF) && TENSOR_HALF
using Tensor = Half;
__device__ __forceinline__ float load(Half value) { return widen(value); }
__device__ __forceinline__ void store(Half* at, float value) { *at = narrow(value); }
#else
using Tensor = float;
__device__ __forceinline__ float load(float value) { return value; }
__device__ __forceinline__ void store(float* at, float value) { *at = value; }
#endif

}  // namespace brats
