"""Every planted fault is found: its kind, its block, its thread, its line. Every cure for it passes."""

from __future__ import annotations

import numpy as np
import pytest

from emulator import Emulator, KernelFault

SOURCE = r"""
#define FULL 0xffffffffu
extern "C" __global__ void skipped_barrier(int* out) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    out[i] = 1;
    if (!(blockIdx.x == 1 && threadIdx.x == 40)) __syncthreads();
    out[i] = 2;
}
extern "C" __global__ void two_barriers(int* out) {
    if (threadIdx.x < 33) { __syncthreads(); out[threadIdx.x] = 1; }
    else { __syncthreads(); out[threadIdx.x] = 2; }
}
extern "C" __global__ void barrier_in_a_loop(int* out) {
    for (int i = 0; i < (threadIdx.x == 5 ? 3 : 2); ++i) __syncthreads();
    out[threadIdx.x] = 1;
}
extern "C" __global__ void early_return(int* out, int n) {
    __shared__ int first;
    if (threadIdx.x >= n) return;
    if (threadIdx.x == 0) first = 7;
    __syncthreads();
    out[threadIdx.x] = first;
}
extern "C" __global__ void barrier_against_warp(int* out) {
    if (threadIdx.x == 3) __syncthreads();
    else __syncwarp();
    out[threadIdx.x] = 1;
}
extern "C" __global__ void missing_lane(int* out) {
    int v = threadIdx.x;
    out[v] = v;
    if (threadIdx.x != 37) v = __shfl_xor_sync(FULL, v, 1);
    out[threadIdx.x] = v;
}
extern "C" __global__ void unnamed_lane(int* out) { out[threadIdx.x] = __ballot_sync(0xffff, 1); }
extern "C" __global__ void halves(int* out) {
    if (threadIdx.x < 16) out[threadIdx.x] = __ballot_sync(0xffff, 1);
    else out[threadIdx.x] = __ballot_sync(0xffff0000u, 1);
}
extern "C" __global__ void inactive_source(int* out) {
    if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(0xffff, (int)threadIdx.x, threadIdx.x == 9 ? 20 : 3);
}
extern "C" __global__ void beyond_the_end(const int* in, int* out, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i <= n) out[0] = in[i];
}
extern "C" __global__ void before_the_start(int* out) { out[(int)threadIdx.x - 1] = 1; }
extern "C" __global__ void misaligned(float* out) {
    ((float2*)(out + (threadIdx.x == 6)))[2 * threadIdx.x] = make_float2(1, 2);
}
extern "C" __global__ void null_pointer(const int* in, int* out) { out[threadIdx.x] = in ? 1 : in[threadIdx.x]; }
extern "C" __global__ void uninitialised(const int* in, int* out) { out[threadIdx.x] = in[threadIdx.x] + 1; }
extern "C" __global__ void write_input(int* in) { in[threadIdx.x] = 0; }
extern "C" __global__ void half_written(int* out) { if (threadIdx.x % 2) out[threadIdx.x] = 1; }

extern "C" __global__ void race_without_barrier(int* out) {
    __shared__ int cells[64];
    cells[threadIdx.x] = threadIdx.x;
    out[threadIdx.x] = cells[63 - threadIdx.x];
}
extern "C" __global__ void race_read_first(int* out) {
    __shared__ int cells[64];
    cells[threadIdx.x] = threadIdx.x;
    __syncthreads();
    const int v = cells[(threadIdx.x + 1) % 64];
    cells[threadIdx.x] = v;
    out[threadIdx.x] = v;
}
extern "C" __global__ void ordered_by_warp(int* out) {
    __shared__ int cells[64];
    const int base = threadIdx.x & 32;
    cells[threadIdx.x] = threadIdx.x;
    __syncwarp();
    const int v = cells[base + (threadIdx.x + 1) % 32];
    __shfl_sync(FULL, v, 0);
    cells[threadIdx.x] = v;
    out[threadIdx.x] = v;
}
extern "C" __global__ void same_value(int* out) {
    __shared__ int flag;
    if (threadIdx.x % 3 == 0) flag = 1;
    __syncthreads();
    out[0] = flag;
}
extern "C" __global__ void write_write(int* out) {
    __shared__ int cell;
    cell = threadIdx.x / 50;
    __syncthreads();
    out[threadIdx.x] = cell;
}
extern "C" __global__ void race_with_atomic(int* out) {
    __shared__ int count;
    if (threadIdx.x == 0) count = 0;
    atomicAdd(&count, 1);
    __syncthreads();
    out[threadIdx.x] = count;
}
extern "C" __global__ void unwritten_shared(int* out) {
    __shared__ int cells[64];
    if (threadIdx.x != 20) cells[threadIdx.x] = 1;
    __syncthreads();
    out[threadIdx.x] = cells[threadIdx.x];
}
extern "C" __global__ void beyond_shared(int* out) {
    __shared__ int left[32], right[32];
    left[threadIdx.x] = right[threadIdx.x] = 1;
    __syncthreads();
    out[threadIdx.x] = right[threadIdx.x + (threadIdx.x == 30) * 9];
}
extern "C" __global__ void beyond_dynamic(int* out) {
    extern __shared__ int cells[];
    cells[threadIdx.x] = 1;
    out[threadIdx.x] = cells[threadIdx.x];
}
extern "C" __global__ void global_race(int* out) { out[(blockIdx.x * blockDim.x + threadIdx.x) / 2] = threadIdx.x; }
extern "C" __global__ void global_race_of_blocks(int* out) { out[threadIdx.x] = blockIdx.x; }
extern "C" __global__ void global_in_turns(int* out) {
    for (int turn = 0; turn < 64; ++turn) {
        if (threadIdx.x == turn) out[0] = turn;
        __syncthreads();
    }
}
extern "C" __global__ void neighbouring_bytes(unsigned char* out) { out[threadIdx.x] = threadIdx.x; }
struct Record { int values[12]; };
extern "C" __global__ void copied(const Record* in, Record* out, int whole) {
    if (whole) out[threadIdx.x] = in[threadIdx.x];
    else memcpy(out + threadIdx.x, in + threadIdx.x, sizeof(Record));
}
extern "C" __global__ void asserted(const int* in) { assert(in[threadIdx.x] < 5); }
extern "C" __global__ void trapped() { if (threadIdx.x == 3) __trap(); }
"""
LINES = SOURCE.splitlines()


@pytest.fixture
def gpu():
    machine = Emulator(threads=1)
    machine.program = machine.compile(SOURCE, name="faulty.cu")
    return machine


def launch(gpu, kernel, *args, block=64, **options):
    return gpu.program.launch(kernel, grid=options.pop("grid", 1), block=block, args=args, **options)


def fault_of(gpu, kernel, *args, **options):
    with pytest.raises(KernelFault) as caught:
        launch(gpu, kernel, *args, **options)
    assert caught.value.kernel == kernel
    assert "\n" not in str(caught.value)
    return caught.value


def at(fault):
    return fault.kind, fault.block, fault.thread


def text_at(fault):
    name, line = fault.line.split(":")
    assert name == "faulty.cu"
    return LINES[int(line) - 1]


def test_a_thread_that_skips_a_barrier_and_goes_on_is_named(gpu):
    fault = fault_of(gpu, "skipped_barrier", gpu.allocate(512), grid=2)
    assert at(fault) == ("barrier divergence", (1, 0, 0), (40, 0, 0))
    assert "__syncthreads" in text_at(fault)


def test_threads_that_returned_are_excused_where_asked(gpu):
    out = gpu.allocate(512)
    launch(gpu, "skipped_barrier", out, grid=2, exited="allowed")
    assert (out.read(np.int32) == 2).all()


def test_two_barriers_are_not_one(gpu):
    fault = fault_of(gpu, "two_barriers", gpu.allocate(256))
    assert at(fault) == ("barrier divergence", (0, 0, 0), (33, 0, 0))


def test_a_barrier_that_one_thread_meets_once_more_is_divergent(gpu):
    assert at(fault_of(gpu, "barrier_in_a_loop", gpu.allocate(256)))[0] == "barrier divergence"


def test_a_thread_that_returns_at_once_may_miss_a_barrier(gpu):
    out = gpu.allocate(256)
    launch(gpu, "early_return", out, np.int32(40))
    np.testing.assert_array_equal(out.written(np.int32), np.arange(64) < 40)
    assert (out.read(np.int32, 40) == 7).all()
    fault = fault_of(gpu, "early_return", out, np.int32(40), exited="fault")
    assert at(fault) == ("barrier divergence", (0, 0, 0), (40, 0, 0))


def test_a_warp_primitive_does_not_meet_a_barrier(gpu):
    fault = fault_of(gpu, "barrier_against_warp", gpu.allocate(256))
    assert at(fault) == ("missing lane", (0, 0, 0), (3, 0, 0))


def test_a_deadlock_is_found_in_fast_mode_too(gpu):
    gpu.program = gpu.compile(SOURCE, name="faulty.cu", mode="fast")
    fault = fault_of(gpu, "barrier_against_warp", gpu.allocate(256))
    assert at(fault) == ("missing lane", (0, 0, 0), (3, 0, 0))


def test_a_mask_that_names_a_lane_that_never_comes_is_a_fault(gpu):
    fault = fault_of(gpu, "missing_lane", gpu.allocate(256))
    assert at(fault) == ("missing lane", (0, 0, 0), (37, 0, 0))
    assert "__shfl_xor_sync" in text_at(fault)


def test_a_lane_must_name_itself(gpu):
    assert at(fault_of(gpu, "unnamed_lane", gpu.allocate(256))) == ("missing lane", (0, 0, 0), (16, 0, 0))


def test_halves_of_a_warp_may_vote_apart(gpu):
    out = gpu.allocate(128)
    launch(gpu, "halves", out, block=32)
    np.testing.assert_array_equal(out.read(np.uint32), [0xFFFF] * 16 + [0xFFFF0000] * 16)


def test_a_shuffle_from_a_lane_that_takes_no_part_is_a_fault(gpu):
    out = gpu.allocate(64)
    assert at(fault_of(gpu, "inactive_source", out, block=32)) == ("inactive lane read", (0, 0, 0), (9, 0, 0))
    launch(gpu, "inactive_source", out, block=32, allow={"inactive lane read"})
    assert out.read(np.int32)[9] == -1


def test_a_read_beyond_the_end_names_buffer_and_offset(gpu):
    source, out = gpu.upload(np.zeros(100, np.int32), "source"), gpu.allocate(4, "out")
    fault = fault_of(gpu, "beyond_the_end", source, out, np.int32(100), grid=2)
    assert at(fault) == ("out of bounds", (1, 0, 0), (36, 0, 0))
    assert (fault.buffer, fault.offset) == ("source", 400)
    assert "in[i]" in text_at(fault)


def test_a_write_before_the_start_is_out_of_bounds_in_both_modes(gpu):
    out = gpu.allocate(256, "out")
    fault = fault_of(gpu, "before_the_start", out)
    assert at(fault) == ("out of bounds", (0, 0, 0), (0, 0, 0))
    assert (fault.buffer, fault.offset) == ("out", -4)
    gpu.program = gpu.compile(SOURCE, name="faulty.cu", mode="fast")
    fault = fault_of(gpu, "before_the_start", out)
    assert (fault.kind, fault.buffer) == ("out of bounds", "out")


def test_a_freed_buffer_and_a_null_pointer_are_out_of_bounds(gpu):
    source, out = gpu.upload(np.zeros(64, np.int32)), gpu.allocate(256)
    source.free()
    assert fault_of(gpu, "uninitialised", source, out).kind == "out of bounds"
    assert fault_of(gpu, "null_pointer", 0, out).kind == "out of bounds"


def test_a_vector_that_is_not_aligned_is_a_fault(gpu):
    fault = fault_of(gpu, "misaligned", gpu.allocate(2048))
    assert at(fault) == ("misaligned access", (0, 0, 0), (6, 0, 0))


def test_a_read_of_what_was_never_written_is_a_fault(gpu):
    source = gpu.allocate(256, "source").write(np.zeros(50, np.int32))
    out = gpu.allocate(256)
    fault = fault_of(gpu, "uninitialised", source, out)
    assert at(fault) == ("uninitialised read", (0, 0, 0), (50, 0, 0))
    assert (fault.buffer, fault.offset) == ("source", 200)
    launch(gpu, "uninitialised", source, out, allow={"uninitialised read"})
    source.write(np.zeros(64, np.int32))
    launch(gpu, "uninitialised", source, out)


def test_an_input_registered_read_only_cannot_be_written(gpu):
    array = np.ones(64, np.int32)
    fault = fault_of(gpu, "write_input", gpu.register(array, "array"))
    assert at(fault) == ("write to read-only memory", (0, 0, 0), (0, 0, 0))
    assert (array == 1).all()
    launch(gpu, "write_input", gpu.register(array, "writable", writable=True))
    assert (array == 0).all()


def test_the_elements_that_a_kernel_leaves_out_are_known(gpu):
    out = gpu.allocate(256)
    launch(gpu, "half_written", out)
    np.testing.assert_array_equal(out.written(np.int32), np.arange(64) % 2 == 1)
    assert (out.read(np.uint8, 4) == 0xA5).all()
    out.poison()
    assert not out.written().any()


@pytest.mark.parametrize(
    ("kernel", "thread"),
    [("race_without_barrier", 32), ("race_read_first", 1), ("write_write", 50), ("race_with_atomic", 1)],
)
def test_a_race_on_shared_memory_is_found(gpu, kernel, thread):
    fault = fault_of(gpu, kernel, gpu.allocate(256))
    assert at(fault) == ("shared race", (0, 0, 0), (thread, 0, 0))
    assert "shared variable" in str(fault)
    launch(gpu, kernel, gpu.allocate(256), allow={"shared race", "uninitialised read"})


def test_accesses_with_a_warp_primitive_between_are_ordered_within_the_warp(gpu):
    out = gpu.allocate(256)
    launch(gpu, "ordered_by_warp", out)
    lanes = np.arange(64)
    np.testing.assert_array_equal(out.read(np.int32), (lanes & 32) + (lanes + 1) % 32)


def test_threads_may_write_the_same_value(gpu):
    launch(gpu, "same_value", gpu.allocate(4))


def test_shared_memory_that_a_block_never_wrote_is_unwritten_in_every_block(gpu):
    fault = fault_of(gpu, "unwritten_shared", gpu.allocate(256))
    assert at(fault) == ("uninitialised read", (0, 0, 0), (20, 0, 0))
    assert "cells" in str(fault)


def test_an_access_beyond_a_shared_variable_is_a_fault(gpu):
    fault = fault_of(gpu, "beyond_shared", gpu.allocate(128), block=32)
    assert at(fault) == ("out of bounds", (0, 0, 0), (30, 0, 0))
    assert "shared variable" in str(fault)


def test_dynamic_shared_memory_ends_where_the_launch_says(gpu):
    out = gpu.allocate(256)
    launch(gpu, "beyond_dynamic", out, shared_bytes=256)
    fault = fault_of(gpu, "beyond_dynamic", out, shared_bytes=128)
    assert at(fault) == ("out of bounds", (0, 0, 0), (32, 0, 0))
    assert fault.offset == 128


def test_two_threads_that_write_different_values_race(gpu):
    fault = fault_of(gpu, "global_race", gpu.allocate(256, "out"), grid=2)
    assert at(fault) == ("global race", (0, 0, 0), (1, 0, 0))
    assert (fault.buffer, fault.offset) == ("out", 0)
    launch(gpu, "global_race", gpu.allocate(256), grid=2, allow={"global race"})


def test_two_blocks_that_write_different_values_race(gpu):
    fault = fault_of(gpu, "global_race_of_blocks", gpu.allocate(256), grid=2)
    assert at(fault) == ("global race", (1, 0, 0), (0, 0, 0))


def test_writes_with_a_barrier_between_or_in_two_launches_do_not_race(gpu):
    out = gpu.allocate(256)
    launch(gpu, "global_in_turns", out)
    launch(gpu, "global_in_turns", out)
    assert out.read(np.int32)[0] == 63


def test_neighbouring_bytes_of_a_word_do_not_race(gpu):
    out = gpu.allocate(64).write(np.full(64, 255, np.uint8))
    launch(gpu, "neighbouring_bytes", out)
    np.testing.assert_array_equal(out.read(), np.arange(64))


@pytest.mark.parametrize("whole", [0, 1])
def test_a_structure_s_copy_is_checked_whole(gpu, whole):
    source, out = gpu.upload(np.zeros(4 * 12, np.int32), "source"), gpu.allocate(5 * 48)
    launch(gpu, "copied", source, out, np.int32(whole), block=4)
    assert out.written(np.int32).sum() == 48
    fault = fault_of(gpu, "copied", source, out, np.int32(whole), block=5)
    assert at(fault) == ("out of bounds", (0, 0, 0), (4, 0, 0))
    assert (fault.buffer, fault.offset) == ("source", 192)


def test_a_failed_assertion_and_a_trap_are_faults(gpu):
    values = np.zeros(64, np.int32)
    values[11] = 5
    fault = fault_of(gpu, "asserted", gpu.upload(values))
    assert at(fault) == ("assertion", (0, 0, 0), (11, 0, 0))
    assert "in[threadIdx.x] < 5" in str(fault)
    assert at(fault_of(gpu, "trapped")) == ("trap", (0, 0, 0), (3, 0, 0))


def test_a_launch_after_a_fault_is_a_fresh_one(gpu):
    out = gpu.allocate(512)
    for _ in range(3):
        fault_of(gpu, "skipped_barrier", out, grid=2)
        assert launch(gpu, "global_in_turns", out).barriers == 64
