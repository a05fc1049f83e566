// A modality as stored -> samples of its resampled box, normalised.
//
// Build with -DCARD=1 for the card's normalisation, which comes after resampling, else the authors', which comes
// before.
#pragma once

#include "common.cuh"

namespace brats {

#if defined(CARD) && CARD
constexpr bool card = true;
#else
constexpr bool card = false;
#endif

// Whether a float holds every value of a type.
template <class Value>
constexpr bool fits_float = sizeof(Value) <= 2;
template <>
constexpr bool fits_float<float> = true;

template <class Value>
constexpr bool is_float = false;
template <>
constexpr bool is_float<float> = true;

// Z-scores with float32's precision however far the mean lies from zero: what a float holds loses a mean in two parts,
// of 24 bits each; wider values and scaled ones are taken in double. So are floats whose deviation lies near an end of
// their range, where -ftz would take the differences or the reciprocal for zero.
struct Scorer {
    __device__ __forceinline__ explicit Scorer(const Moments& moments)
        : mean(moments.mean),
          inverse_std(1.0 / sqrt(variance_of(moments))),
          mean_high(static_cast<float>(mean)),
          mean_low(static_cast<float>(mean - static_cast<double>(mean_high))),
          inverse_std_float(static_cast<float>(inverse_std)) {}

    template <class Value>
    __device__ __forceinline__ float score(Value value) const {
        if constexpr (fits_float<Value>) {
            if (!is_float<Value> || is_amid_floats())
                return ((static_cast<float>(value) - mean_high) - mean_low) * inverse_std_float;
        }
        return static_cast<float>((as_double(value) - mean) * inverse_std);
    }

    // For a deviation from 2^-100, of which a flush takes 2^-26 at most, to 2^120.
    __device__ __forceinline__ bool is_amid_floats() const {
        return inverse_std_float >= 0x1p-120F && inverse_std_float <= 0x1p100F;
    }

    double mean;
    double inverse_std;
    float mean_high;
    float mean_low;
    float inverse_std_float;
};

// With slope and intercept or without: chosen once a thread, so that neither pays for the other's registers.
template <bool with_scale>
struct Sampler {
    const unsigned char* origin;  // of the box
    const Layout& layout;
    Scorer scorer;

    // A sample of the network's input.
    __device__ __forceinline__ float value(const AxisTap& x, const AxisTap& y, const AxisTap& z) const {
        const float sampled = sample(x, y, z);
        if constexpr (!card) return sampled;
        return sampled != 0.0F ? scorer.score(sampled) : 0.0F;
    }

    // The box resampled: with the authors' normalisation done before, with the card's still to do.
    __device__ __forceinline__ float sample(const AxisTap& x, const AxisTap& y, const AxisTap& z) const {
        const unsigned char* lower = origin + z.lower * layout.strides[2];
        return mix(plane(lower, x, y), plane(lower + layout.strides[2], x, y), z.weight);
    }

    __device__ __forceinline__ float at(const unsigned char* voxel) const {
        if constexpr (with_scale)
            return intensity(scaled(voxel, layout));
        else
            return intensity(native(voxel));
    }

    template <class Value>
    __device__ __forceinline__ float intensity(Value value) const {
        if (!is_foreground(value)) return 0.0F;
        return card ? static_cast<float>(value) : mapped(scorer.score(value));
    }

    __device__ __forceinline__ float row(const unsigned char* voxel, const AxisTap& x) const {
        const unsigned char* lower = voxel + x.lower * layout.strides[0];
        return mix(at(lower), at(lower + layout.strides[0]), x.weight);
    }

    __device__ __forceinline__ float plane(const unsigned char* voxel, const AxisTap& x, const AxisTap& y) const {
        const unsigned char* lower = voxel + y.lower * layout.strides[1];
        return mix(row(lower, x), row(lower + layout.strides[1], x), y.weight);
    }
};

__device__ __forceinline__ const unsigned char* origin_of(const unsigned char* data, const Layout& layout,
                                                          const Plan& plan) {
    for (int k = 0; k < 3; ++k) data += plan.lower[k] * layout.strides[k];
    return data;
}

}  // namespace brats
