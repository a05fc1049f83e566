"""Bytes, sectors, bank conflicts and barriers are exact numbers."""

from __future__ import annotations

import numpy as np
import pytest

from emulator import Emulator

SOURCE = r"""
extern "C" __global__ void strided(const float* in, float* out, int stride, int shift) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    out[i] = in[i * stride + shift];
}
extern "C" __global__ void scattered(const float* in, float* out, int stride) {
    const int i = threadIdx.x;
    out[i * stride] = in[i];
}
extern "C" __global__ void vectors(const float4* in, float4* out, short4* low) {
    const int i = threadIdx.x;
    const float4 v = in[i];
    out[i] = make_float4(v.w, v.z, v.y, v.x);
    low[i] = make_short4(v.x, v.y, v.z, v.w);
}
extern "C" __global__ void looped(const unsigned char* in, unsigned char* out, int n) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) out[i] = in[n - 1 - i];
}
extern "C" __global__ void broadcast(const float* in, float* out) { out[threadIdx.x] = in[0]; }
extern "C" __global__ void triangle(const float* in, float* out) {
    float sum = 0.0f;
    for (int row = 0; row <= threadIdx.x; ++row) sum += in[row * 32 + threadIdx.x];
    out[threadIdx.x] = sum;
}
extern "C" __global__ void banks(float* out, int stride) {
    __shared__ float cells[32 * 33];
    cells[threadIdx.x * stride] = threadIdx.x;
    __syncthreads();
    out[threadIdx.x] = cells[(31 - threadIdx.x) * stride];
}
extern "C" __global__ void wide_banks(float* out) {
    __shared__ float4 wide[32];
    wide[threadIdx.x] = make_float4(1, 2, 3, threadIdx.x);
    __syncwarp();
    const float4 v = wide[31 - threadIdx.x];
    out[threadIdx.x] = v.w;
}
extern "C" __global__ void choose(const float* a, const float* b, float* out) {
    const float* from = threadIdx.x < 8 ? a : b;
    out[threadIdx.x] = from[threadIdx.x];
}
extern "C" __global__ void transpose(const float* in, float* out, int pitch) {
    extern __shared__ float tile[];
    tile[threadIdx.y * pitch + threadIdx.x] = in[threadIdx.y * 32 + threadIdx.x];
    __syncthreads();
    out[threadIdx.y * 32 + threadIdx.x] = tile[threadIdx.x * pitch + threadIdx.y];
}
"""


@pytest.fixture
def gpu():
    machine = Emulator(threads=2)
    machine.program = machine.compile(SOURCE, name="counts.cu")
    return machine


def floats(count):
    return np.arange(count, dtype=np.float32)


@pytest.mark.parametrize(
    ("stride", "shift", "sectors"), [(1, 0, 4), (2, 0, 8), (3, 0, 12), (8, 0, 32), (1, 1, 5), (1, 8, 4), (16, 4, 32)]
)
def test_a_warp_read_moves_the_sectors_that_its_stride_and_start_touch(gpu, stride, shift, sectors):
    source = gpu.upload(floats(32 * 4 * 16 + 16), "in")
    args = [source, gpu.allocate(512, "out"), np.int32(stride), np.int32(shift)]
    buffers = gpu.program.launch("strided", grid=2, block=64, args=args).buffers
    warps = 4
    # Two warps that share a sector each move it: only accesses of one warp are merged.
    assert buffers["in"].sectors_read == warps * sectors
    assert buffers["in"].bytes_read == warps * 128
    assert buffers["in"].read_efficiency == 128 / (32 * sectors)
    assert buffers["out"].write_efficiency == 1.0
    assert buffers["out"].bytes_written == 512
    assert buffers["in"].sectors_written == buffers["out"].sectors_read == 0


@pytest.mark.parametrize(("stride", "efficiency"), [(1, 1.0), (2, 0.5), (4, 0.25), (8, 0.125)])
def test_writes_are_counted_apart_from_reads(gpu, stride, efficiency):
    args = [gpu.upload(floats(64), "in"), gpu.allocate(64 * 4 * stride, "out"), np.int32(stride)]
    buffers = gpu.program.launch("scattered", grid=1, block=64, args=args).buffers
    assert buffers["in"].read_efficiency == 1.0
    assert buffers["out"].write_efficiency == efficiency


def test_a_vector_is_one_access(gpu):
    out, low = gpu.allocate(32 * 16, "out"), gpu.allocate(32 * 8, "low")
    buffers = gpu.program.launch("vectors", grid=1, block=32, args=[gpu.upload(floats(128), "in"), out, low]).buffers
    assert (buffers["in"].read_requests, buffers["in"].sectors_read, buffers["in"].bytes_read) == (1, 16, 512)
    assert (buffers["out"].write_requests, buffers["out"].sectors_written) == (1, 16)
    assert (buffers["low"].write_requests, buffers["low"].sectors_written) == (1, 8)


def test_a_loop_s_turns_are_separate_accesses(gpu):
    data = np.arange(160, dtype=np.uint8)
    buffers = gpu.program.launch(
        "looped", grid=1, block=32, args=[gpu.upload(data, "in"), gpu.allocate(160, "out"), np.int32(160)]
    ).buffers
    assert (buffers["in"].read_requests, buffers["in"].sectors_read) == (5, 5)
    assert (buffers["out"].write_requests, buffers["out"].sectors_written) == (5, 5)
    assert buffers["in"].read_efficiency == buffers["out"].write_efficiency == 1.0


def test_a_broadcast_moves_one_sector_of_which_one_value_is_useful(gpu):
    buffers = gpu.program.launch(
        "broadcast", grid=1, block=32, args=[gpu.upload(floats(8), "in"), gpu.allocate(128, "out")]
    ).buffers
    assert (buffers["in"].bytes_read, buffers["in"].sectors_read) == (4, 1)


def test_lanes_that_left_a_loop_take_no_part_in_its_later_turns(gpu):
    buffers = gpu.program.launch(
        "triangle", grid=1, block=32, args=[gpu.upload(floats(1024), "in"), gpu.allocate(128, "out")]
    ).buffers
    assert buffers["in"].read_requests == 32
    assert buffers["in"].bytes_read == 4 * sum(range(1, 33))
    assert buffers["in"].sectors_read == sum(4 - row // 8 for row in range(32))


@pytest.mark.parametrize(("stride", "ways"), [(1, 1), (2, 2), (3, 1), (4, 4), (8, 8), (16, 16), (32, 32), (33, 1)])
def test_bank_conflicts_are_the_wavefronts_beyond_the_first(gpu, stride, ways):
    report = gpu.program.launch("banks", grid=3, block=32, args=[gpu.allocate(128, "out"), np.int32(stride)])
    assert report.shared.bank_conflicts == 3 * 2 * (ways - 1)
    assert (report.shared.read_requests, report.shared.write_requests, report.barriers) == (3, 3, 3)


def test_sixteen_byte_accesses_in_a_row_have_no_conflict(gpu):
    report = gpu.program.launch("wide_banks", grid=1, block=32, args=[gpu.allocate(128)])
    assert report.shared.bank_conflicts == 0
    assert (report.shared.write_requests, report.shared.bytes_written) == (1, 512)


def test_one_access_over_two_buffers_counts_in_each(gpu):
    a, b = gpu.upload(floats(32), "a"), gpu.upload(floats(32), "b")
    buffers = gpu.program.launch("choose", grid=1, block=32, args=[a, b, gpu.allocate(128, "out")]).buffers
    assert (buffers["a"].bytes_read, buffers["a"].sectors_read) == (32, 1)
    assert (buffers["b"].bytes_read, buffers["b"].sectors_read) == (96, 3)


@pytest.mark.parametrize(("pitch", "conflicts"), [(32, 32 * 31), (33, 0)])
def test_padding_takes_a_transposition_s_conflicts_away(gpu, pitch, conflicts):
    args = [gpu.upload(floats(1024), "in"), gpu.allocate(4096, "out"), np.int32(pitch)]
    report = gpu.program.launch("transpose", grid=1, block=(32, 32), args=args, shared_bytes=4 * 32 * pitch)
    assert report.shared.bank_conflicts == conflicts
    assert report.buffers["in"].read_efficiency == report.buffers["out"].write_efficiency == 1.0


def test_counting_every_fourth_block_counts_a_quarter(gpu):
    args = [gpu.upload(floats(1024), "in"), gpu.allocate(4096, "out"), np.int32(1), np.int32(0)]
    report = gpu.program.launch("strided", grid=32, block=32, args=args, count_every=4)
    assert (report.blocks, report.counted_blocks, report.threads) == (32, 8, 1024)
    assert report.buffers["in"].bytes_read == 1024


@pytest.mark.parametrize(("stride", "distinct"), [(0, 1), (1, 16), (2, 32), (8, 128), (16, 128)])
def test_a_sector_that_many_warps_touch_counts_once_a_launch(gpu, stride, distinct):
    args = [gpu.upload(floats(128 * 16 + 16), "in"), gpu.allocate(512, "out"), np.int32(stride), np.int32(0)]
    for _ in range(2):  # each launch begins anew
        buffers = gpu.program.launch("strided", grid=4, block=32, args=args).buffers
        assert buffers["in"].distinct_sectors_read == distinct
        assert buffers["in"].read_reuse == buffers["in"].sectors_read / distinct
        assert buffers["out"].distinct_sectors_written == 16
        assert (buffers["in"].distinct_sectors_written, buffers["out"].distinct_sectors_read) == (0, 0)
        assert buffers["out"].read_reuse == 0.0
        assert (buffers["in"].least_bytes_moved, buffers["out"].least_bytes_moved) == (32 * distinct, 512)


def test_warps_that_share_a_sector_at_their_edges_count_it_once(gpu):
    args = [gpu.upload(floats(129), "in"), gpu.allocate(512, "out"), np.int32(1), np.int32(1)]
    found = gpu.program.launch("strided", grid=4, block=32, args=args).buffers["in"]
    assert (found.sectors_read, found.distinct_sectors_read) == (20, 17)


def test_distinct_sectors_of_registered_memory_are_those_of_its_addresses(gpu):
    values = floats(64 + 8)
    start = (-values.ctypes.data // 4) % 8 + 3  # 12 bytes past a sector's start
    args = [gpu.register(values[start : start + 33], "in"), gpu.allocate(128, "out"), np.int32(1), np.int32(0)]
    found = gpu.program.launch("strided", grid=1, block=32, args=args).buffers["in"]
    assert found.distinct_sectors_read == found.sectors_read == 5


def test_loops_reads_writes_and_atomics_mark_sectors_apart(gpu):
    program = gpu.compile(
        """
extern "C" __global__ void mixed(int* values) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    for (int turn = 0; turn < 3; ++turn) values[i] += turn;
    if (i % 16 == 0) atomicAdd(values + i, 1);
}"""
    )
    values = gpu.upload(np.zeros(64, np.int32), "values")
    found = program.launch("mixed", grid=2, block=32, args=[values]).buffers["values"]
    assert (found.distinct_sectors_read, found.distinct_sectors_written) == (8, 8)
    assert (found.atomics, found.distinct_sectors_atomic) == (4, 4)
    assert found.least_bytes_moved == 32 * (8 + 8 + 2 * 4)
    assert found.read_reuse == 3.0


def test_only_counted_blocks_mark_sectors(gpu):
    args = [gpu.upload(floats(1024), "in"), gpu.allocate(4096, "out"), np.int32(1), np.int32(0)]
    report = gpu.program.launch("strided", grid=32, block=32, args=args, count_every=4)
    assert report.buffers["in"].distinct_sectors_read == 8 * 4


def test_fast_mode_counts_no_traffic(gpu):
    args = [gpu.upload(floats(64), "in"), gpu.allocate(256, "out"), np.int32(1), np.int32(0)]
    report = gpu.compile(SOURCE, name="counts.cu", mode="fast").launch("strided", grid=2, block=32, args=args)
    assert (report.threads, report.counted_blocks, report.buffers) == (64, 0, {})
    assert gpu.program.launch("strided", grid=2, block=32, args=args, count_every=0).buffers == {}
