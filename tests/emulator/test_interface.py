"""What comes in is checked: sources, arguments, grids, names."""

from __future__ import annotations

import numpy as np
import pytest

from emulator import Emulator
from emulator.source import kernels, rewrite_shared

SOURCE = """
struct Shape { int n[3]; };
extern "C" __global__ void take(const float* in, int n, unsigned long long big, bool flag, double x, Shape shape) {}
"""
GOOD = [0, np.int32(1), np.uint64(1), np.bool_(True), np.float64(1), np.zeros(3, np.int32)]


@pytest.fixture
def gpu():
    return Emulator(threads=1)


@pytest.fixture
def program(gpu):
    return gpu.compile(SOURCE)


def test_arguments_of_the_declared_types_are_taken(gpu, program):
    assert program.launch("take", grid=1, block=1, args=GOOD).threads == 1
    as_bytes = [gpu.allocate(4).view(0, 4), *GOOD[1:5], bytes(12)]
    assert program.launch("take", grid=(2, 3, 4), block=(8, 2), args=as_bytes).threads == 24 * 16


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, np.zeros(3), r"argument 0 is an array of 24 bytes; `const float\* in` takes a Buffer or an address"),
        (0, 1.5, "argument 0 is float"),
        (1, np.int64(1), "argument 1 is numpy.int64; `int n` takes a numpy.int32"),
        (1, np.uint32(1), "numpy.int32"),
        (1, 1, "argument 1 is int"),
        (2, np.int64(1), "numpy.uint64"),
        (3, np.int32(1), "numpy.bool"),
        (4, np.float32(1), "numpy.float64"),
        (5, bytes(11), "argument 5 is bytes of length 11; `Shape shape` takes 12 bytes"),
    ],
)
def test_an_argument_of_another_type_is_refused(program, place, value, message):
    args = [*GOOD[:place], value, *GOOD[place + 1 :]]
    with pytest.raises(TypeError, match=message):
        program.launch("take", grid=1, block=1, args=args)


def test_a_wrong_number_of_arguments_is_refused(program):
    with pytest.raises(TypeError, match="takes 6 arguments, 5 came"):
        program.launch("take", grid=1, block=1, args=GOOD[:5])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block": 1025}, "at most 1024 threads"),
        ({"block": (1, 1, 65)}, "64 along z"),
        ({"grid": 0}, "at least 1"),
        ({"grid": (1, 65536)}, "at most 65535"),
        ({"shared_bytes": 1 << 20}, "bytes of shared memory"),
        ({"exited": "sometimes"}, "expected one of early, allowed, fault"),
        ({"allow": {"trap"}}, "cannot be allowed"),
    ],
)
def test_a_launch_that_a_device_would_refuse_is_refused(program, options, message):
    with pytest.raises(ValueError, match=message):
        program.launch("take", **{"grid": 1, "block": 1, "args": GOOD, **options})


def test_an_unknown_kernel_is_refused_with_the_known_ones(program):
    with pytest.raises(KeyError, match="no kernel 'give'; there are take"):
        program.launch("give", grid=1, block=1)


def test_a_source_that_does_not_compile_gives_the_compiler_s_message(gpu):
    with pytest.raises(RuntimeError, match=r"wrong\.cu:2:.*nonsense"):
        gpu.compile('extern "C" __global__ void k(int* p) {\n  p[0] = nonsense;\n}', name="wrong.cu")


def test_defines_reach_the_source(gpu):
    program = gpu.compile('extern "C" __global__ void k(int* p) { *p = VALUE; }', defines={"VALUE": 42})
    out = gpu.allocate(4)
    program.launch("k", grid=1, block=1, args=[out])
    assert out.read(np.int32)[0] == 42


def test_an_unknown_mode_is_refused(gpu):
    with pytest.raises(ValueError, match="expected one of checked, fast"):
        gpu.compile(SOURCE, mode="slow")


def test_two_buffers_cannot_have_one_name(gpu):
    first = gpu.allocate(4, "labels")
    with pytest.raises(ValueError, match="already"):
        gpu.allocate(4, "labels")
    first.free()
    gpu.allocate(4, "labels")


def test_a_view_shares_its_buffer_s_memory(gpu):
    whole = gpu.allocate(64)
    part = whole.view(16, 8).write(np.float32([1, 2]))
    assert part.address == whole.address + 16
    np.testing.assert_array_equal(np.flatnonzero(whole.written()), np.arange(16, 24))
    np.testing.assert_array_equal(whole.view(16).read(np.float32, 2), [1, 2])
    with pytest.raises(ValueError, match="has 64"):
        whole.view(60, 8)
    with pytest.raises(ValueError, match="has 8"):
        part.write(np.zeros(3, np.float32))


def test_kernels_are_found_among_attributes_comments_and_templates():
    source = """
    // extern "C" __global__ void commented(int a);
    template <int N> __global__ void generic(int* a) {}
    extern "C" __global__ void __launch_bounds__(256, (2)) first(const int* __restrict__ a /* b, c */, int n) {}
    __launch_bounds__(64) __global__ void second() {}
    """
    found = kernels(source)
    assert [kernel.name for kernel in found] == ["first", "second"]
    assert found[0].parameters == ("const int* __restrict__ a", "int n")


def test_rewriting_keeps_every_line_where_it_was():
    source = "void k() {\n  __shared__ float a[4]\n    [5], b;\n  extern __shared__ char c[];\n  a[0][0] = c[0];\n}\n"
    rewritten = rewrite_shared(source)
    assert rewritten.count("\n") == source.count("\n")
    assert rewritten.splitlines()[-2:] == source.splitlines()[-2:]


def test_a_shared_variable_outside_a_function_is_refused():
    with pytest.raises(ValueError, match="line 2: __shared__ outside a function"):
        rewrite_shared("int x;\n__shared__ int y;\n")
