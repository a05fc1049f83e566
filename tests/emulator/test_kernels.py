"""Correct kernels give the right values in both modes, and no fault."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from emulator import Emulator

SOURCE = r"""
#include <cuda_fp16.h>
struct Grid { int shape[3]; long long stride[3]; };
__constant__ float weights[3] = {1.0f, 2.0f, 4.0f};

extern "C" __global__ void __launch_bounds__(256)
saxpy(const float* __restrict__ x, float* __restrict__ y, float a, long long n) {
    const long long step = (long long)gridDim.x * blockDim.x;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) y[i] = a * x[i] + y[i];
}

__device__ __forceinline__ float warp_sum(float v) {
    #pragma unroll
    for (int d = 16; d > 0; d >>= 1) v += __shfl_down_sync(0xffffffffu, v, d);
    return v;
}

extern "C" __global__ void total(const float* x, float* out, int n) {
    __shared__ float parts[32];
    float v = 0.0f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) v += __ldg(x + i);
    v = warp_sum(v);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = v;
    __syncthreads();
    if (threadIdx.x < 32) {
        v = warp_sum(threadIdx.x < blockDim.x / 32 ? parts[threadIdx.x] : 0.0f);
        if (threadIdx.x == 0) atomicAdd(out, v);
    }
}

extern "C" __global__ void tree(const int* x, int* out) {
    extern __shared__ __align__(16) int scratch[];
    const int t = threadIdx.x;
    scratch[t] = x[blockIdx.x * blockDim.x + t];
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if (t < half) scratch[t] = max(scratch[t], scratch[t + half]);
    }
    if (t == 0) out[blockIdx.x] = scratch[0];
}

extern "C" __global__ void histogram(const unsigned char* x, unsigned int* bins, int n) {
    __shared__ unsigned int own[64], unused;
    if (threadIdx.x < 64) own[threadIdx.x] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) atomicAdd(&own[x[i]], 1u);
    __syncthreads();
    if (threadIdx.x < 64) atomicAdd(&bins[threadIdx.x], own[threadIdx.x]);
}

template <int PITCH>
__device__ void transpose_tile(const float* in, float* out, int width, int height, float (&tile)[32][PITCH]) {
    const int x = blockIdx.x * 32 + threadIdx.x, y = blockIdx.y * 32 + threadIdx.y;
    for (int row = 0; row < 32; row += blockDim.y) tile[threadIdx.y + row][threadIdx.x] = in[(y + row) * width + x];
    __syncthreads();
    const int u = blockIdx.y * 32 + threadIdx.x, v = blockIdx.x * 32 + threadIdx.y;
    for (int row = 0; row < 32; row += blockDim.y) out[(v + row) * height + u] = tile[threadIdx.x][threadIdx.y + row];
}
extern "C" __global__ void transpose_padded(const float* in, float* out, int width, int height) {
    __shared__ float tile[32][33];
    transpose_tile(in, out, width, height, tile);
}
extern "C" __global__ void transpose_plain(const float* in, float* out, int width, int height) {
    __shared__ float tile[32][32];
    transpose_tile(in, out, width, height, tile);
}

extern "C" __global__ void linear_index(int* out, Grid grid) {
    const int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    const int z = blockIdx.z * blockDim.z + threadIdx.z;
    if (x >= grid.shape[0] || y >= grid.shape[1] || z >= grid.shape[2]) return;
    out[x * grid.stride[0] + y * grid.stride[1] + z * grid.stride[2]] = x * 10000 + y * 100 + z;
}

extern "C" __global__ void to_half(const float* in, __half* out, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = __float2half(in[i]);
}
extern "C" __global__ void from_half(const __half* in, float* out, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = __half2float(in[i]);
}

extern "C" __global__ void votes(unsigned int* out) {
    const unsigned t = threadIdx.x, full = 0xffffffffu;
    unsigned* mine = out + 12 * t;
    mine[0] = __ballot_sync(full, t % 3 == 0);
    mine[1] = __any_sync(full, t == 7);
    mine[2] = __all_sync(full, t < 31);
    mine[3] = __shfl_sync(full, t * 10, 5);
    mine[4] = __shfl_up_sync(full, t, 1);
    mine[5] = __shfl_xor_sync(full, t, 3, 8);
    mine[6] = __shfl_down_sync(full, t, 2, 8);
    mine[7] = __match_any_sync(full, t / 8);
    mine[8] = __reduce_add_sync(full, t);
    mine[9] = __syncthreads_count(t < 5);
    if (t % 2) mine[10] = __activemask();
    else mine[10] = __popc(__activemask()) * 1000;
    const int signed_lane = (int)t - 16;
    mine[11] = __reduce_min_sync(full, signed_lane);
}

extern "C" __global__ void weigh(const int* x, float* out) { out[threadIdx.x] = weights[x[threadIdx.x]]; }

extern "C" __global__ void arithmetic(const float* in, int* out) {
    const float v = in[threadIdx.x];
    int* mine = out + 8 * threadIdx.x;
    mine[0] = __float2int_rd(v);
    mine[1] = __float2int_rn(v);
    mine[2] = __float_as_uint(fminf(fmaxf(v, -1.0f), 1.0f));
    mine[3] = __clz(__float2int_rz(v)) + 100 * __ffs(__float2int_rz(v));
    mine[4] = min(__float2int_ru(v), 3) + max(0u, 7u);
    mine[5] = (int)(rsqrtf(4.0f) * 100.0f);
    mine[6] = __double_as_longlong((double)v) >> 32;
    mine[7] = __brev(1u) >> 24;
}

extern "C" __global__ void extremes(const long long* x, long long* least, int* greatest, unsigned* either) {
    const int i = threadIdx.x;
    atomicMin(least, x[i]);
    atomicMax(greatest, (int)x[i]);
    atomicOr(either, 1u << (i % 32));
    unsigned old = either[1 + i], seen;
    do { seen = old; old = atomicCAS(&either[1 + i], seen, seen + 5u); } while (old != seen);
}

__device__ int root_of(const int* parent, int i) {
    while (parent[i] != i) i = parent[i];
    return i;
}
__device__ void unite(int* parent, int a, int b) {
    for (;;) {
        a = root_of(parent, a);
        b = root_of(parent, b);
        if (a == b) return;
        if (a > b) { const int swap = a; a = b; b = swap; }
        const int old = atomicMin(parent + b, a);
        if (old == b) return;
        b = old;
    }
}
extern "C" __global__ void label_start(const unsigned char* mask, int* parent, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) parent[i] = mask[i] ? i : -1;
}
extern "C" __global__ void label_merge(int* parent, int width, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n || parent[i] < 0) return;
    if (i % width > 0 && parent[i - 1] >= 0) unite(parent, i, i - 1);
    if (i >= width && parent[i - width] >= 0) unite(parent, i, i - width);
}
extern "C" __global__ void label_flatten(const int* parent, int* label, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) label[i] = parent[i] < 0 ? -1 : root_of(parent, i);
}
"""


@pytest.fixture(params=["checked", "fast"])
def gpu(request):
    machine = Emulator(threads=2)
    machine.program = machine.compile(SOURCE, name="correct.cu", mode=request.param)
    return machine


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_saxpy_over_a_grid_stride_loop_equals_numpy(gpu, rng):
    x, y = rng.standard_normal((2, 10_007), np.float32)
    out = gpu.upload(y)
    gpu.program.launch("saxpy", grid=5, block=256, args=[gpu.upload(x), out, np.float32(1.5), np.int64(x.size)])
    np.testing.assert_array_equal(out.read(np.float32), np.float32(1.5) * x + y)


def test_block_reduction_by_shuffles_and_shared_memory_gives_the_sum(gpu, rng):
    x = rng.integers(0, 100, 5000).astype(np.float32)
    out = gpu.upload(np.zeros(1, np.float32))
    report = gpu.program.launch("total", grid=7, block=256, args=[gpu.upload(x), out, np.int32(x.size)])
    assert out.read(np.float32)[0] == x.sum()
    assert report.barriers == 7
    assert report.collectives == 7 * 5 * (8 + 1)


def test_reduction_in_dynamic_shared_memory_gives_the_maxima(gpu, rng):
    x = rng.integers(-1000, 1000, (6, 128), np.int32)
    out = gpu.allocate(6 * 4)
    report = gpu.program.launch("tree", grid=6, block=128, args=[gpu.upload(x), out], shared_bytes=512)
    np.testing.assert_array_equal(out.read(np.int32), x.max(axis=1))
    assert report.barriers == 6 * 7


def test_histogram_by_atomics_counts_every_value(gpu, rng):
    x = rng.integers(0, 64, 20_000, np.uint8)
    bins = gpu.upload(np.zeros(64, np.uint32))
    gpu.program.launch("histogram", grid=9, block=96, args=[gpu.upload(x), bins, np.int32(x.size)])
    np.testing.assert_array_equal(bins.read(np.uint32), np.bincount(x, minlength=64))


@pytest.mark.parametrize("kernel", ["transpose_padded", "transpose_plain"])
def test_transposition_through_shared_memory_transposes(gpu, rng, kernel):
    x = rng.standard_normal((64, 96), np.float32)
    out = gpu.allocate(x.nbytes)
    gpu.program.launch(kernel, grid=(3, 2), block=(32, 8), args=[gpu.upload(x), out, np.int32(96), np.int32(64)])
    np.testing.assert_array_equal(out.read(np.float32, (96, 64)), x.T)


def test_a_structure_by_value_and_a_3d_grid_reach_every_voxel(gpu):
    shape = (13, 9, 7)
    layout = np.dtype([("shape", np.int32, 3), ("stride", np.int64, 3)], align=True)
    grid = np.zeros((), layout)
    grid["shape"], grid["stride"] = shape, (1, 13, 13 * 9)
    out = gpu.allocate(int(np.prod(shape)) * 4)
    gpu.program.launch("linear_index", grid=(4, 3, 2), block=(4, 4, 4), args=[out, grid[()]])
    x, y, z = np.indices(shape)
    np.testing.assert_array_equal(out.read(np.int32, shape[::-1]).T, x * 10000 + y * 100 + z)


def test_half_precision_rounds_as_numpy_does(gpu, rng):
    bits = rng.integers(0, 1 << 32, 4096, np.uint64).astype(np.uint32).view(np.float32)
    near = (rng.standard_normal(4096) * 10.0 ** rng.uniform(-8, 5, 4096)).astype(np.float32)
    values = np.concatenate([bits[~np.isnan(bits)], near, np.float32([0.0, -0.0, np.inf, 65519.9, 65520.0, 2.0**-25])])
    out = gpu.allocate(2 * values.size)
    gpu.program.launch("to_half", grid=40, block=256, args=[gpu.upload(values), out, np.int32(values.size)])
    with np.errstate(over="ignore", under="ignore"):
        expected = values.astype(np.float16)
    np.testing.assert_array_equal(out.read(np.uint16), expected.view(np.uint16))


def test_half_precision_widens_every_number_exactly(gpu):
    values = np.arange(1 << 16, dtype=np.uint16)
    out = gpu.allocate(4 * values.size)
    gpu.program.launch("from_half", grid=256, block=256, args=[gpu.upload(values), out, np.int32(values.size)])
    np.testing.assert_array_equal(out.read(np.float32), values.view(np.float16).astype(np.float32))


def test_warp_primitives_follow_the_programming_guide(gpu):
    out = gpu.allocate(32 * 12 * 4)
    gpu.program.launch("votes", grid=1, block=32, args=[out])
    got = out.read(np.uint32, (32, 12))
    lane = np.arange(32)
    assert (got[:, 0] == sum(1 << i for i in range(0, 32, 3))).all()
    assert (got[:, 1] == 1).all()
    assert (got[:, 2] == 0).all()
    assert (got[:, 3] == 50).all()
    np.testing.assert_array_equal(got[:, 4], np.maximum(lane - 1, 0))
    np.testing.assert_array_equal(got[:, 5], lane ^ 3)
    np.testing.assert_array_equal(got[:, 6], np.where(lane % 8 < 6, lane + 2, lane))
    np.testing.assert_array_equal(got[:, 7], 0xFF << (lane // 8 * 8))
    assert (got[:, 8] == 496).all()
    assert (got[:, 9] == 5).all()
    np.testing.assert_array_equal(got[:, 10], np.where(lane % 2, 0xAAAAAAAA, 16000))
    assert (got[:, 11].view(np.int32) == -16).all()


def test_a_constant_is_readable_and_can_be_written_from_outside(gpu):
    x, out = gpu.upload(np.int32([2, 0, 1])), gpu.allocate(12)
    gpu.program.launch("weigh", grid=1, block=3, args=[x, out])
    np.testing.assert_array_equal(out.read(np.float32), [4, 1, 2])
    gpu.program.write_symbol("weights", np.float32([5, 6, 7]))
    gpu.program.launch("weigh", grid=1, block=3, args=[x, out])
    np.testing.assert_array_equal(out.read(np.float32), [7, 5, 6])
    gpu.program.write_symbol("weights", np.float32([1, 2, 4]))


def test_intrinsics_give_the_documented_values(gpu):
    out = gpu.allocate(2 * 8 * 4)
    gpu.program.launch("arithmetic", grid=1, block=2, args=[gpu.upload(np.float32([-2.5, 6.5])), out])
    got = out.read(np.int32, (2, 8))
    np.testing.assert_array_equal(got[:, 0], [-3, 6])
    np.testing.assert_array_equal(got[:, 1], [-2, 6])
    np.testing.assert_array_equal(got[:, 2].view(np.float32), [-1, 1])
    np.testing.assert_array_equal(got[:, 3], [200, 229])
    np.testing.assert_array_equal(got[:, 4], [5, 10])
    np.testing.assert_array_equal(got[:, 5], 50)
    np.testing.assert_array_equal(got[:, 6], np.array([-2.5, 6.5]).view(np.int64) >> 32)
    np.testing.assert_array_equal(got[:, 7], 128)


def test_atomics_of_every_width_keep_every_update(gpu, rng):
    x = rng.integers(-(2**30), 2**30, 64)
    least, greatest = gpu.upload(np.int64([2**62])), gpu.upload(np.int32([-(2**31)]))
    either = gpu.upload(np.zeros(65, np.uint32))
    gpu.program.launch("extremes", grid=1, block=64, args=[gpu.upload(x), least, greatest, either])
    assert least.read(np.int64)[0] == x.min()
    assert greatest.read(np.int32)[0] == x.max()
    assert either.read(np.uint32)[0] == 0xFFFFFFFF
    assert (either.read(np.uint32)[1:] == 5).all()


def test_connected_components_by_concurrent_union_find_equal_scipy_s(gpu, rng):
    mask = rng.random((120, 97)) < 0.55
    parent, label = gpu.allocate(4 * mask.size, "parent"), gpu.allocate(4 * mask.size, "label")
    shape = {"grid": -(-mask.size // 128), "block": 128}
    size = np.int32(mask.size)
    gpu.program.launch("label_start", args=[gpu.upload(mask), parent, size], **shape)
    gpu.program.launch("label_merge", args=[parent, np.int32(mask.shape[1]), size], **shape)
    gpu.program.launch("label_flatten", args=[parent, label, size], **shape)
    expected, count = ndimage.label(mask)
    firsts = np.unique(expected, return_index=True)[1]  # a component's least index is its root
    np.testing.assert_array_equal(label.read(np.int32, mask.shape)[mask], firsts[expected[mask]])
    assert count == np.unique(label.read(np.int32)).size - 1
