"""The binding of the network in C++: what it takes, and what it says of what it does not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from brats_trt import _host

SIZE = (4, 6, 8)
SHAPE = (4, *SIZE)
EYE = np.eye(4, dtype=np.float32)


def centre():
    weights = np.zeros((4, 1, 3, 3, 3), np.float32)
    weights[:, :, 1, 1, 1] = 1
    return weights


def softmax_of(crop):
    exponentials = np.exp(crop - crop.max(axis=0))
    return exponentials / exponentials.sum(axis=0)


@pytest.fixture
def network():
    """The softmax of its own input."""
    made = _host.Network(SIZE, precision="fp32", threads=2)
    made.classify(made.convolve_first(0, centre()), EYE)
    return made


@pytest.fixture
def crop():
    return np.random.default_rng(0).standard_normal(SHAPE, np.float32)


def test_the_answer_is_written_into_the_array_given(network, crop):
    softmax = np.full(SHAPE, np.nan, np.float32)
    network.run(crop, softmax)
    np.testing.assert_allclose(softmax, softmax_of(crop), rtol=0, atol=1e-6)
    batch = np.full((1, *SHAPE), np.nan, np.float32)
    network.run(crop[None], batch)
    assert np.array_equal(batch[0], softmax)


def test_the_input_may_be_read_only_and_take_the_answer_itself(network, crop):
    expected = softmax_of(crop)
    read_only = crop.copy()
    read_only.setflags(write=False)
    network.run(read_only, np.empty_like(crop))
    network.run(crop, crop)
    np.testing.assert_allclose(crop, expected, rtol=0, atol=1e-6)


def misaligned():
    return np.frombuffer(bytearray(np.prod(SHAPE) * 4 + 1), np.float32, offset=1).reshape(SHAPE)


UNFIT = {
    "float64": lambda: np.zeros(SHAPE),
    "big endian": lambda: np.zeros(SHAPE, ">f4"),
    "integers": lambda: np.zeros(SHAPE, np.int32),
    "a channel short": lambda: np.zeros((3, *SIZE), np.float32),
    "other axes": lambda: np.zeros((4, 6, 4, 8), np.float32),
    "flat": lambda: np.zeros(np.prod(SHAPE), np.float32),
    "two entries": lambda: np.zeros((2, *SHAPE), np.float32),
    "channels last": lambda: np.zeros((*SIZE, 4), np.float32),
    "Fortran order": lambda: np.zeros(SHAPE, np.float32, order="F"),
    "every second": lambda: np.zeros((4, 4, 6, 16), np.float32)[..., ::2],
    "misaligned": misaligned,
    "six axes": lambda: np.zeros((1, 1, *SHAPE), np.float32),
}


@pytest.mark.parametrize("what", UNFIT)
def test_arrays_that_do_not_fit_are_refused_by_name(network, crop, what):
    softmax = np.full(SHAPE, np.nan, np.float32)
    unfit = UNFIT[what]()
    message = r"is to be C-contiguous float32 of \(4, 4, 6, 8\), got "
    with pytest.raises(ValueError, match=f"^crop {message}"):
        network.run(unfit, softmax)
    assert np.isnan(softmax).all()
    with pytest.raises(ValueError, match=f"^softmax {message}"):
        network.run(crop, unfit)
    assert not unfit.any()


def test_a_read_only_softmax_is_refused_and_not_written_to(network, crop):
    softmax = np.zeros(SHAPE, np.float32)
    softmax.setflags(write=False)
    with pytest.raises(ValueError, match="softmax is read-only"):
        network.run(crop, softmax)
    assert not softmax.any()


def test_what_is_no_array_is_refused(network, crop):
    with pytest.raises(TypeError):
        network.run(crop, None)
    with pytest.raises((TypeError, ValueError)):
        network.run("crop", crop)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "fp8"}, "precision 'fp8' is not known; expected 'fp32' or 'bf16'"),
        ({"precision": "fp32", "instruction_set": "mmx"}, "this processor has no kernels for fp32 with mmx"),
        ({"precision": "bf16", "instruction_set": "baseline"}, "no kernels for bf16 with baseline"),
    ],
)
def test_kernels_that_are_not_there_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        _host.Network(SIZE, **options)


@pytest.mark.parametrize("size", [(0, 4, 4), (4, -1, 4), (4, 4, 2**40)])
def test_sizes_out_of_range_are_refused(size):
    with pytest.raises(ValueError, match="a grid"):
        _host.Network(size, precision="fp32")


def test_a_network_without_classes_at_its_end_is_not_run(crop):
    network = _host.Network(SIZE, precision="fp32", threads=1)
    softmax = np.full(SHAPE, np.nan, np.float32)
    with pytest.raises(ValueError, match="the last layer is not one of classes on the input's grid"):
        network.run(crop, softmax)
    network.convolve_first(0, centre())
    with pytest.raises(ValueError, match="the last layer is not one of classes on the input's grid"):
        network.run(crop, softmax)
    assert np.isnan(softmax).all()


def test_layers_that_do_not_fit_raise_and_are_not_added(network, crop):
    norm = (np.ones(4, np.float32), np.zeros(4, np.float32), 1e-5)
    wide = np.zeros((4, 4, 3, 3, 3), np.float32)
    for call in (
        lambda: network.convolve(1, norm=norm, groups=3, weights=wide),
        lambda: network.convolve(1, norm=norm, groups=1, weights=wide.ravel()[:-1]),
        lambda: network.convolve(1, norm=norm, groups=1, weights=wide, residual=-1),
        lambda: network.convolve(1, norm=norm, groups=1, weights=wide, bias=np.ones(3, np.float32)),
        lambda: network.convolve(1, norm=(norm[0][:3], norm[1], 1e-5), groups=1, weights=wide),
        lambda: network.convolve(2, norm=norm, groups=1, weights=wide),
        lambda: network.convolve_first(0, np.zeros(0, np.float32)),
        lambda: network.mix([], EYE),
        lambda: network.mix([(1, 1)] * 5, EYE),
        lambda: network.mix([(1, 2**62)], EYE),
        lambda: network.expand((1, 3), EYE),
        lambda: network.average(1),
        lambda: network.classify(7, EYE),
        lambda: network.classify(1, np.full((4, 4), np.nan, np.float32)),
    ):
        with pytest.raises(ValueError, match=r"tensor|channels|weights|bias|gamma|sources|norm"):
            call()
    softmax = np.empty(SHAPE, np.float32)
    network.run(crop, softmax)
    np.testing.assert_allclose(softmax, softmax_of(crop), rtol=0, atol=1e-6)


def test_calls_from_several_threads_take_turns(network):
    random = np.random.default_rng(1)
    crops = [random.standard_normal(SHAPE, np.float32) for _ in range(16)]

    def run(crop):
        softmax = np.empty(SHAPE, np.float32)
        network.run(crop, softmax)
        assert network.nbytes > 0
        return softmax

    with ThreadPoolExecutor(4) as pool:
        for crop, softmax in zip(crops, pool.map(run, crops), strict=True):
            np.testing.assert_allclose(softmax, softmax_of(crop), rtol=0, atol=1e-6)


def test_weights_may_be_float64_and_strided(crop):
    network = _host.Network(SIZE, precision="fp32")
    weights = np.zeros((4, 1, 3, 3, 6))
    weights[:, :, 1, 1, 2] = 1
    network.classify(network.convolve_first(0, weights[..., ::2]), EYE.astype(np.float64))
    softmax = np.empty(SHAPE, np.float32)
    network.run(crop, softmax)
    np.testing.assert_allclose(softmax, softmax_of(crop), rtol=0, atol=1e-6)


def test_precisions_are_those_that_a_network_can_be_made_in():
    assert _host.network_precisions()[0] == "fp32"
    for precision in _host.network_precisions():
        assert _host.Network(SIZE, precision=precision).instruction_set
