// A series on a grid of its own -> samples of the network's input: one interpolation, masked and normalised.
#pragma once

#include "corners.cuh"
#include "scorer.cuh"

namespace brats {

// Trilinear; `value_at` takes a voxel's address. An axis of one voxel has no upper one; its weight is 0.
template <class ValueAt>
__device__ __forceinline__ float trilinear(ValueAt value_at, const UInt8* data, const Layout& layout,
                                           const Corners& corners) {
    const UInt8* lower = data;
    Int64 up[3];
    for (int k = 0; k < 3; ++k) {
        lower += corners.axis[k].lower * layout.strides[k];
        up[k] = layout.shape[k] > 1 ? layout.strides[k] : 0;
    }
    const auto row = [&](const UInt8* at) { return mix(value_at(at), value_at(at + up[2]), corners.axis[2].weight); };
    const auto plane = [&](const UInt8* at) { return mix(row(at), row(at + up[1]), corners.axis[1].weight); };
    return mix(plane(lower), plane(lower + up[0]), corners.axis[0].weight);
}

// An intensity, and the share of it that lies in the head.
struct Sample {
    float intensity;
    float share;
};

struct PlacedSampler {
    const UInt8* data;
    const UInt8* mask;
    const Layout& layout;
    const GridMap& to_series;
    const Placement& placement;
    bool with_scale;

    __device__ __forceinline__ Sample sample(const int (&at)[3]) const {
        const Corners corners = corners_at(to_series, at, layout.shape);
        if (!corners.inside) return {0.0F, 0.0F};
        const float intensity = trilinear([this](const UInt8* voxel) { return finite(voxel); }, data, layout, corners);
        return {intensity, intensity > 0.0F ? share(at) : 0.0F};
    }

private:
    // What is not finite is 0; what is negative stays, until it is interpolated.
    __device__ __forceinline__ float finite(const UInt8* voxel) const {
        const float value = with_scale ? static_cast<float>(scaled(voxel, layout)) : static_cast<float>(native(voxel));
        return is_finite(value) ? value : 0.0F;
    }

    // Over one sample's width around the mask's edge, from nothing to all.
    __device__ __forceinline__ float share(const int (&at)[3]) const {
        if (placement.masked == 0) return 1.0F;
        const Corners corners = corners_at(placement.to_mask, at, placement.mask.shape);
        if (!corners.inside) return 0.0F;
        const float brain = trilinear([](const UInt8* voxel) { return *reinterpret_cast<const float*>(voxel); }, mask,
                                      placement.mask, corners);
        return min(max((brain - 0.25F) * 2.0F, 0.0F), 1.0F);
    }
};

__device__ __forceinline__ PlacedSampler sampler_of(const UInt8* data, const UInt8* mask, const Placement& placement,
                                                    int modality) {
    const Layout& layout = placement.series[modality];
    return {data, mask, layout, placement.to_series[modality], placement, is_scaled(layout)};
}

}  // namespace brats
