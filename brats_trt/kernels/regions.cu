// Drops small tumour regions from a label map: 26-connected components of all tumour classes together, by union-find.
//
//   scipy: oracle.drop_small_regions; cupyx.scipy.ndimage.label with a structure of ones finds the same components
//
// A tumour voxel's parent is a voxel of its region with a lower index; roots are their own parents. Joining only ever
// lowers a parent (atomicMin), so that every order of threads ends in the same regions. Background voxels have no
// parent and are never asked for one. Four launches over all voxels: start, join, measure, drop. At most 2^31 - 1
// voxels.
#include "common.cuh"

namespace brats {

struct Shape {
    int fast;
    int middle;
    int slow;
};

__device__ __forceinline__ Shape shape_of(const Setup& setup) {
    const Int64* shape = setup.modality[0].shape;
    return {static_cast<int>(shape[setup.label_axes[0]]), static_cast<int>(shape[setup.label_axes[1]]),
            static_cast<int>(shape[setup.label_axes[2]])};
}

__device__ __forceinline__ int find_root(const int* parents, int voxel) {
    const volatile int* current = parents;
    for (int parent = current[voxel]; parent != voxel; parent = current[voxel]) voxel = parent;
    return voxel;
}

// The same, and halves the way for those who come after: some orders of threads would else make it thousands long.
__device__ __forceinline__ int find_root_and_halve(int* parents, int voxel) {
    const volatile int* current = parents;
    for (;;) {
        const int parent = current[voxel];
        const int grandparent = current[parent];
        if (parent == grandparent) return parent;
        atomicMin(parents + voxel, grandparent);
        voxel = grandparent;
    }
}

__device__ __forceinline__ void join(int* parents, int a, int b) {
    for (;;) {
        a = find_root_and_halve(parents, a);
        b = find_root_and_halve(parents, b);
        if (a == b) return;
        const int high = max(a, b);
        const int low = min(a, b);
        const int before = atomicMin(parents + high, low);
        if (before == high) return;  // it still was a root
        a = before;
        b = low;
    }
}

// Joins a voxel with those of its 13 neighbours of lower index that lie in the tumour.
__device__ __forceinline__ void join_neighbours(int voxel, const unsigned char* labels, unsigned char background,
                                                const Shape& shape, int* parents) {
    const int plane = shape.fast * shape.middle;
    const int i = voxel % shape.fast;
    const int j = voxel % plane / shape.fast;
    const int k = voxel / plane;
    for (int neighbour = 0; neighbour < 13; ++neighbour) {
        const int di = neighbour % 3 - 1;
        const int dj = neighbour / 3 % 3 - 1;
        const int dk = neighbour / 9 - 1;
        if (i + di < 0 || i + di >= shape.fast || j + dj < 0 || j + dj >= shape.middle || k + dk < 0) continue;
        const int there = voxel + dk * plane + dj * shape.fast + di;
        if (labels[there] != background) join(parents, voxel, there);
    }
}

}  // namespace brats

using namespace brats;

#define BRATS_EACH_VOXEL(voxel)                                                                                        \
    const Shape shape = shape_of(*setup);                                                                              \
    const auto background = static_cast<unsigned char>(setup->values[0]);                                              \
    const Int64 voxels = static_cast<Int64>(shape.fast) * shape.middle * shape.slow;                                   \
    const Int64 stride = static_cast<Int64>(gridDim.x) * blockDim.x;                                                   \
    if (plan->status == 0)                                                                                             \
        for (Int64 voxel = static_cast<Int64>(blockIdx.x) * blockDim.x + threadIdx.x; voxel < voxels; voxel += stride) \
            if (labels[voxel] != background)

extern "C" __global__ void __launch_bounds__(256)
    regions_start(const unsigned char* labels, const Setup* setup, const Plan* plan, int* parents, int* sizes) {
    BRATS_EACH_VOXEL(voxel) {
        parents[voxel] = static_cast<int>(voxel);
        sizes[voxel] = 0;
    }
}

extern "C" __global__ void __launch_bounds__(256)
    regions_join(const unsigned char* labels, const Setup* setup, const Plan* plan, int* parents) {
    BRATS_EACH_VOXEL(voxel) { join_neighbours(static_cast<int>(voxel), labels, background, shape, parents); }
}

extern "C" __global__ void __launch_bounds__(256)
    regions_measure(const unsigned char* labels, const Setup* setup, const Plan* plan, const int* parents, int* sizes) {
    BRATS_EACH_VOXEL(voxel) { atomicAdd(sizes + find_root(parents, static_cast<int>(voxel)), 1); }
}

// `kept` begins as the counts in the plan and loses what is dropped; the plan's own stay, since they set the bound.
extern "C" __global__ void __launch_bounds__(256)
    regions_drop(unsigned char* labels, const Setup* setup, const Plan* plan, const int* parents, const int* sizes,
                 unsigned long long* kept) {
    UInt64 all = 0;
    UInt64 largest = 0;
    for (int c = 0; c < classes; ++c) {
        all += plan->counts[c];
        largest = plan->counts[c] > largest ? plan->counts[c] : largest;
    }
    const double least = setup->min_region * static_cast<double>(all - largest);
    BRATS_EACH_VOXEL(voxel) {
        if (static_cast<double>(sizes[find_root(parents, static_cast<int>(voxel))]) < least) {
            for (int c = 1; c < classes; ++c)
                if (labels[voxel] == setup->values[c]) atomicAdd(kept + c, ~0ULL);
            labels[voxel] = background;
            atomicAdd(kept, 1ULL);
        }
    }
}
