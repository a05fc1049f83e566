// A modality as stored -> samples of its resampled box, normalised.
#pragma once

#include "scorer.cuh"

namespace brats {

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
