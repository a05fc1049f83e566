"""What must hold whatever the numbers are: no oracle, but the stages against themselves and against linear algebra."""

from __future__ import annotations

import numpy as np
import oracle
import pytest
from emulator import Emulator
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tolerances import GATHER, GATHER_ON_DEVICE, MOMENTS

from brats_trt import _host
from kernels.identities import dyadic_softmax, kronecker
from kernels.stages import Moments, SmallDevice, Stages
from kernels.table import ORDERS, VIEWS, in_memory

FEW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WITNESSES = ("host", "kernel")
shapes = st.tuples(*[st.integers(3, 12)] * 3)


def sparse(shape, seed, share=0.05):
    random = np.random.default_rng(seed)
    values = random.integers(1, 100, shape).astype(np.int16)
    values[random.random(shape) > share] = 0
    return values


def foreground(witness, device, data):
    return _host.foreground(data) if witness == "host" else Stages(device, data.shape).foreground(data)


def gather(witness, device, data, moments, size):
    if witness == "kernel":
        return Stages(device, data.shape, size=size).gather(data, moments)[0]
    out = np.zeros((1, 4, *size), np.float32)
    box = moments.box[0], tuple(n - 1 for n in moments.box[1])
    _host.gather(data, box, out, 0, mean=moments.mean, variance=moments.variance)
    return out[0, 0]


def scatter(witness, device, softmax, box, like):
    if witness == "kernel":
        stages = Stages(device, like.shape, size=softmax.shape[2:], batch=len(softmax))
        return stages.scatter(softmax, box, like)[0]
    labels = np.full_like(like, 99, np.uint8)
    _host.scatter(softmax, box, labels, values=(0, 1, 2, 4))
    return labels


@pytest.mark.parametrize("witness", WITNESSES)
@FEW
@given(shape=shapes, seed=st.integers(0, 2**32 - 1), memory=st.sampled_from((*ORDERS, *VIEWS)))
def test_the_box_is_the_tightest(device, witness, shape, seed, memory):
    values = sparse(shape, seed)
    assume(values.any())
    found = foreground(witness, device, in_memory(values, memory))
    inside = tuple(slice(a, b) for a, b in zip(*found.box, strict=True))
    assert (values[inside] > 0).sum() == (values > 0).sum() == found.count, "nothing is left out"
    for axis in range(3):
        for face in (found.box[0][axis], found.box[1][axis] - 1):
            assert values.take(face, axis).any(), "no plane could be taken off"


@pytest.mark.parametrize("witness", WITNESSES)
@FEW
@given(shape=shapes, seed=st.integers(0, 2**32 - 1), data=st.data())
def test_a_permuted_and_reversed_head_has_the_permuted_and_reversed_box(device, witness, shape, seed, data):
    axes = data.draw(st.permutations(range(3)))
    flips = data.draw(st.tuples(*[st.sampled_from([1, -1])] * 3))
    values = sparse(shape, seed)
    assume(values.any())
    before = foreground(witness, device, values)
    turned = values.transpose(axes)[tuple(slice(None, None, step) for step in flips)]
    after = foreground(witness, device, turned)
    for axis, (source, step) in enumerate(zip(axes, flips, strict=True)):
        low, high = before.box[0][source], before.box[1][source]
        expected = (low, high) if step == 1 else (shape[source] - high, shape[source] - low)
        assert (after.box[0][axis], after.box[1][axis]) == expected
    assert after.count == before.count
    assert after.mean == pytest.approx(before.mean, rel=MOMENTS)


@pytest.mark.parametrize("witness", WITNESSES)
@pytest.mark.parametrize(
    ("extent", "size"),
    [((3, 4, 5), (5, 10, 9)), ((5, 3, 4), (17, 5, 4)), ((9, 5, 7), (3, 2, 4)), ((6, 7, 8), (4, 5, 11))],
)
def test_resampling_is_a_kronecker_product_of_three_matrices(device, witness, extent, size):
    """Up and down by whole factors, where weights have few bits, and by others."""
    values = sparse(tuple(n + 1 for n in extent), 5, share=0.8)
    values[0, 0, 0], values[-1, -1, -1] = 3, 4
    inside = values[values > 0]
    box = (0, 0, 0), values.shape
    moments = Moments(inside.size, float(inside.mean()), float(inside.var()), box)
    cropped = oracle.normalise_authors(values.astype(np.float64))[tuple(slice(n) for n in extent)]
    expected = (kronecker(extent, size) @ cropped.ravel()).reshape(size)
    tolerance = GATHER if witness == "host" else GATHER_ON_DEVICE
    np.testing.assert_allclose(gather(witness, device, values, moments, size), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("witness", WITNESSES)
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(("size", "factor"), [((4, 5, 3), (2, 4, 8)), ((5, 3, 4), (16, 1, 2)), ((3, 3, 3), (4, 4, 4))])
def test_restoring_by_whole_factors_is_a_kronecker_product_to_the_bit_with_its_ties(
    device, witness, size, factor, batch
):
    softmax = dyadic_softmax(size, batch=batch)
    extent = tuple((n - 1) * steps + 1 for n, steps in zip(size, factor, strict=True))
    mean = oracle.average_mirrored(softmax)
    restored = (kronecker(size, extent) @ mean.reshape(4, -1).T).T.reshape(4, *extent)
    second, first = np.sort(restored, axis=0)[-2:]
    assert (first == second).any(), "ties are part of the case"
    like = np.empty(tuple(n + 2 for n in extent), np.uint8, order="F")
    labels = scatter(witness, device, softmax, ((1, 1, 1), tuple(n + 1 for n in extent)), like)
    expected = np.zeros(like.shape, np.uint8)
    expected[1:-1, 1:-1, 1:-1] = np.array([0, 1, 2, 4])[restored.argmax(axis=0)]
    assert np.array_equal(labels, expected)


@pytest.mark.parametrize("witness", WITNESSES)
def test_the_mean_of_a_mirrored_pair_is_symmetric(device, witness):
    one = dyadic_softmax((5, 6, 4))[0]
    like = np.empty((9, 11, 7), np.uint8)
    labels = scatter(witness, device, np.stack([one, one]), ((0, 0, 0), (9, 11, 7)), like)
    assert np.array_equal(labels, labels[:, ::-1])
    assert not np.array_equal(scatter(witness, device, one[None], ((0, 0, 0), (9, 11, 7)), like), labels)


@pytest.mark.parametrize("witness", WITNESSES)
def test_a_pair_of_mirror_images_gives_what_one_of_them_gives_alone(device, witness):
    one = np.random.default_rng(2).dirichlet(np.ones(4), (1, 5, 6, 4)).astype(np.float32).transpose(0, 4, 1, 2, 3)
    one = np.ascontiguousarray(one)
    like = np.empty((9, 10, 7), np.uint8)
    box = (0, 1, 0), (9, 10, 6)
    pair = np.concatenate([one, one[:, :, :, ::-1]])
    assert np.array_equal(scatter(witness, device, pair, box, like), scatter(witness, device, one, box, like))


@pytest.mark.parametrize("witness", WITNESSES)
def test_the_two_entries_of_a_batch_count_alike(device, witness):
    pair = dyadic_softmax((5, 6, 4), batch=2)
    like = np.empty((9, 11, 7), np.uint8)
    box = (0, 0, 0), (9, 11, 7)
    swapped = pair[::-1, :, :, ::-1]  # each as the other would be stored
    one, other = (scatter(witness, device, np.ascontiguousarray(p), box, like) for p in (pair, swapped))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("witness", WITNESSES)
@FEW
@given(seed=st.integers(0, 1000), data=st.data())
def test_permuted_and_reversed_probabilities_give_the_permuted_and_reversed_label_map(device, witness, seed, data):
    axes = data.draw(st.permutations(range(3)))
    flips = data.draw(st.tuples(*[st.sampled_from([1, -1])] * 3))
    size, extent = (5, 4, 3), (9, 13, 9)  # by 2, 4 and 4
    softmax = dyadic_softmax(size, seed=seed)
    box = (1, 0, 2), (10, 13, 11)
    shape = (12, 14, 12)
    labels = scatter(witness, device, softmax, box, np.empty(shape, np.uint8))

    steps = tuple(slice(None, None, step) for step in flips)
    turned = np.ascontiguousarray(softmax.transpose(0, 1, *(axis + 2 for axis in axes))[(..., *steps)])
    lower = [box[0][axis] if step == 1 else shape[axis] - box[1][axis] for axis, step in zip(axes, flips, strict=True)]
    upper = [low + extent[axis] for low, axis in zip(lower, axes, strict=True)]
    like = np.empty([shape[axis] for axis in axes], np.uint8)
    again = scatter(witness, device, turned, (tuple(lower), tuple(upper)), like)
    assert np.array_equal(again, labels.transpose(axes)[steps])


def test_how_voxels_lie_in_memory_changes_no_bit_of_the_crop(device):
    """Interpolation runs along x, then y, then z, however the volume is stored."""
    values = sparse((13, 12, 14), 7, share=0.7)
    inside = values[values > 0]
    moments = Moments(inside.size, float(inside.mean()), float(inside.var()), oracle.tight_box([values]))
    size = (9, 8, 7)
    crops = [
        gather("kernel", device, data, moments, size)
        for memory in (*ORDERS, *VIEWS)
        for data in (in_memory(values, memory), Stages(device, values.shape).place(in_memory(values, memory)))
    ]
    assert all(crop.tobytes() == crops[0].tobytes() for crop in crops)


def test_the_order_of_threads_and_blocks_changes_no_bit_of_a_sum(few_blocks):
    """Which warp goes first cannot matter to a fixed tree; that it is one is seen where blocks run together."""
    values = np.random.default_rng(0).normal(500, 100, (40, 37, 31)).astype(np.float32)
    runs = [
        Stages(SmallDevice(mode="fast", emulator=Emulator(threads=threads)), values.shape).foreground(values)
        for threads in (1, 2, 2)
    ]
    assert len({(run.mean.hex(), run.variance.hex()) for run in runs}) == 1
