// Probabilities of the crop -> a label map on any grid: one interpolation, argmax, label values, and the voxels of each
// class.
//
//   scipy: oracle.restore_elsewhere without the mirrored mean, which interleave took
//
// A sample reaches half a sample beyond its place; further out is class 0. Launch with blocks of 256 threads, each of
// which takes 4096 voxels. `setup` is that of the crop, `target` that of the label map.
#include "corners.cuh"
#include "labelling.cuh"

namespace brats {

struct Samples {
    const float4* values;
    Int64 size[3];
    Int64 strides[3];  // in samples
};

__device__ __forceinline__ Samples samples_of(const float4* values, const Setup& setup) {
    Samples samples{};
    samples.values = values;
    Int64 stride = 1;
    for (int k = 0; k < 3; ++k) {
        const int axis = static_cast<int>(setup.label_axes[k]);
        samples.size[axis] = setup.size[axis];
        samples.strides[axis] = stride;
        stride *= setup.size[axis];
    }
    return samples;
}

__device__ __forceinline__ int class_at(const int (&voxel)[3], const Samples& samples, const GridMap& to_crop) {
    const Corners corners = corners_at(to_crop, voxel, samples.size);
    if (!corners.inside) return 0;
    const float4* lower = samples.values;
    for (int k = 0; k < 3; ++k) lower += corners.axis[k].lower * samples.strides[k];
    const auto row = [&](const float4* at) { return mix4(at[0], at[samples.strides[2]], corners.axis[2].weight); };
    const auto plane = [&](const float4* at) {
        return mix4(row(at), row(at + samples.strides[1]), corners.axis[1].weight);
    };
    return greatest(mix4(plane(lower), plane(lower + samples.strides[0]), corners.axis[0].weight));
}

}  // namespace brats

using namespace brats;

extern "C" __global__ void __launch_bounds__(256)
    restore(const float4* probabilities, const Setup* setup, const Placement* placement, const Setup* target,
            Plan* plan, unsigned char* labels) {
    if (plan->status != 0) return;
    const Samples samples = samples_of(probabilities, *setup);
    const Int64(&shape)[3] = target->modality[0].shape;
    const Int64(&axes)[3] = target->label_axes;
    const Int64 width = shape[axes[0]];
    const Int64 height = shape[axes[1]];
    const auto found = [&](Int64 place) {
        int voxel[3];
        voxel[axes[0]] = static_cast<int>(place % width);
        voxel[axes[1]] = static_cast<int>(place / width % height);
        voxel[axes[2]] = static_cast<int>(place / (width * height));
        return class_at(voxel, samples, placement->to_crop);
    };
    label_block(found, shape[0] * shape[1] * shape[2], *target, *plan, labels);
}
