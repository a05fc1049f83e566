"""Fused multiply-adds and flushed subnormals, where they are asked for and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from emulator import Emulator, compiler

SOURCE = """
extern "C" __global__ void combine(const float* x, float* y) {
    const int i = threadIdx.x;
    y[i] = x[i] * x[i] + x[i + 64];
}

extern "C" __global__ void combine_apart(const float* x, float* y) {
    const int i = threadIdx.x;
    y[i] = __fadd_rn(__fmul_rn(x[i], x[i]), x[i + 64]);
}

extern "C" __global__ void combine_doubles(const double* x, double* y) {
    const int i = threadIdx.x;
    y[i] = x[i] * x[i] + x[i + 64];
}

extern "C" __global__ void halve(const float* x, float* y) {
    __shared__ float turned[64];
    turned[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    const float value = turned[63 - threadIdx.x];
    y[threadIdx.x] = value > 0.0F ? 0.5F * value : -1.0F;
}
"""
LEAST_NORMAL = np.float32(2.0**-126)


@pytest.fixture
def gpu():
    return Emulator(threads=1)


def run(gpu, kernel, values, **options):
    values = np.asarray(values)
    out = gpu.allocate(64 * values.itemsize)
    program = gpu.compile(SOURCE, name="rounding.cu", **options)
    program.launch(kernel, grid=1, block=64, args=[gpu.upload(values), out])
    return out.read(values.dtype)


def cancelling(dtype):
    """x and -x * x, so that the sum is what rounding took from the product."""
    x = np.random.default_rng(0).uniform(1, 2, 64).astype(dtype)
    return np.concatenate([x, -(x * x)])


@pytest.mark.parametrize("mode", compiler.MODES)
@pytest.mark.parametrize(("kernel", "dtype"), [("combine", np.float32), ("combine_doubles", np.float64)])
def test_products_and_sums_are_fused_only_on_request(gpu, mode, kernel, dtype):
    values = cancelling(dtype)
    exact = values[:64].astype(np.longdouble) ** 2 + values[64:]
    assert (run(gpu, kernel, values, mode=mode) == 0).all()
    fused = run(gpu, kernel, values, mode=mode, fmad=True)
    assert (fused != 0).any()
    rounding_of_exact = np.finfo(np.longdouble).eps * 4
    np.testing.assert_allclose(fused, exact.astype(np.float64), rtol=0, atol=rounding_of_exact)


@pytest.mark.parametrize("mode", compiler.MODES)
def test_intrinsics_with_a_rounding_are_never_fused(gpu, mode):
    assert (run(gpu, "combine_apart", cancelling(np.float32), mode=mode, fmad=True) == 0).all()


@pytest.mark.parametrize("mode", compiler.MODES)
def test_subnormals_are_flushed_only_on_request(gpu, mode):
    values = np.full(64, LEAST_NORMAL)
    values[:8] = LEAST_NORMAL / 4
    values[8:16] = 2 * LEAST_NORMAL
    kept = run(gpu, "halve", values, mode=mode)[::-1]
    assert np.array_equal(kept, values / 2)
    flushed = run(gpu, "halve", values, mode=mode, ftz=True)[::-1]
    assert (flushed[:8] == -1).all(), "a subnormal is not above zero"
    assert (flushed[8:16] == LEAST_NORMAL).all()
    assert (flushed[16:] == 0).all(), "a result that is subnormal is zero"


def test_flushing_ends_with_the_launch(gpu):
    run(gpu, "halve", np.ones(64, np.float32), ftz=True)
    assert np.float32(LEAST_NORMAL) / np.float32(2) > 0


def test_flushing_is_refused_where_no_switch_is_known(gpu, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    with pytest.raises(ValueError, match="ftz=True on riscv64"):
        gpu.compile(SOURCE, ftz=True)
