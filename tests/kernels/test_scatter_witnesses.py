"""The label map of every case: SciPy, the host stage, the kernels. Labels are equal but for argmax ties.

A tie is a voxel whose two greatest probabilities, as SciPy resamples them in float64, lie closer than a witness's own
rounding; there, either class will do. Everywhere else, and outside the box, a witness has no choice.
"""

from __future__ import annotations

import numpy as np
import oracle
import pytest
from tolerances import ARGMAX_TIE, ARGMAX_TIE_ON_DEVICE

from brats_trt import _host
from kernels.stages import Stages
from kernels.table import DTYPES, HEADS, Case, cross_product

ROUNDED = [case for case in HEADS if case.dtype == "int16" and case.place == "host"]


def hosts_answer(case, softmax, box):
    labels = np.full_like(case.volume(), 99, np.uint8)
    counts, _ = _host.scatter(softmax, box, labels, values=case.label_values)
    return labels, counts


def kernels_answer(device, case, softmax, box):
    stages = Stages(device, case.shape, size=case.size, batch=case.batch, half=case.half)
    volume = case.volume()
    like = stages.place(volume) if case.place == "device" else volume
    return stages.scatter(softmax, box, like, values=case.label_values)


def assert_is_scipys(labels, counts, case, softmax, box, *, tie):
    expected = oracle.restore_probabilities(softmax, box, resample=oracle.resample)
    inside = tuple(slice(a, b) for a, b in zip(*box, strict=True))
    outside = np.ones(case.shape, bool)
    outside[inside] = False
    assert labels.shape == case.shape
    assert (labels[outside] == case.label_values[0]).all()
    classes = np.full(256, -1)
    classes[list(case.label_values)] = range(4)
    chosen = classes[labels[inside]]
    assert (chosen >= 0).all(), "no value but the scheme's"
    of_chosen = np.take_along_axis(expected, chosen[None], axis=0)[0]
    assert (expected.max(axis=0) - of_chosen).max() <= tie
    assert counts == tuple(int((labels == value).sum()) for value in case.label_values)


@pytest.mark.parametrize("case", HEADS, ids=lambda case: case.name)
def test_the_host_gives_scipys_label_map(case):
    softmax, box = case.softmax(), case.box()
    assert_is_scipys(*hosts_answer(case, softmax, box), case, softmax, box, tie=ARGMAX_TIE)


@pytest.mark.parametrize("case", HEADS, ids=lambda case: case.name)
def test_the_kernels_give_scipys_label_map(device, case):
    softmax, box = case.softmax(), case.box()
    labels, counts = kernels_answer(device, case, softmax, box)
    assert_is_scipys(labels, counts, case, softmax, box, tie=ARGMAX_TIE_ON_DEVICE)


@pytest.mark.parametrize("case", ROUNDED, ids=lambda case: case.name)
def test_fused_and_flushed_the_kernels_give_scipys_label_map(rounding_device, case):
    softmax, box = case.softmax(), case.box()
    labels, counts = kernels_answer(rounding_device, case, softmax, box)
    assert_is_scipys(labels, counts, case, softmax, box, tie=ARGMAX_TIE_ON_DEVICE)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES[1:4])  # no voxel is read: orders, faces and types of tensor are what matters
def test_every_order_at_every_face_gives_scipys_label_map(device, dtype):
    for case in cross_product(dtype):
        softmax, box = case.softmax(), case.box()
        labels, counts = kernels_answer(device, case, softmax, box)
        assert_is_scipys(labels, counts, case, softmax, box, tie=ARGMAX_TIE_ON_DEVICE)


def test_the_table_has_all_classes_and_hardly_a_tie():
    """A table of ties, or of one class, would prove nothing."""
    for case in HEADS:
        softmax, box = case.softmax(), case.box()
        expected = oracle.restore_probabilities(softmax, box, resample=oracle.resample)
        second, first = np.sort(expected, axis=0)[-2:]
        assert ((first - second) <= ARGMAX_TIE_ON_DEVICE).mean() < 1e-3
        assert len(np.unique(expected.argmax(axis=0))) == 4 or np.prod(case.size) <= 48


EQUALS = {"in pairs": (0, 0, 2, 2), "across pairs": (0, 1, 0, 1), "the outer": (0, 1, 2, 0), "all": (0, 0, 0, 0)}


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("equals", EQUALS)
def test_where_classes_are_equal_to_the_bit_the_lower_one_wins(device, batch, equals):
    """Each class gets the probabilities of the one that stands in its place."""
    case = Case("equal classes", batch=batch)
    box = case.box()
    softmax = np.ascontiguousarray(case.softmax()[:, EQUALS[equals]])
    lowest = set(EQUALS[equals])
    for labels, counts in [hosts_answer(case, softmax, box), kernels_answer(device, case, softmax, box)]:
        assert {place for place, count in enumerate(counts) if count} == lowest | {0}
        assert set(np.unique(labels)) == {case.label_values[place] for place in lowest | {0}}
        assert_is_scipys(labels, counts, case, softmax, box, tie=ARGMAX_TIE_ON_DEVICE)


def assert_near_ties_stay_ties(device):
    """Two classes that differ by a unit in the last place everywhere: float32 often chooses otherwise than float64."""
    case = Case("near ties", batch=2, shape=(30, 30, 30), size=(13, 12, 11))
    softmax, box = case.softmax(), case.box()
    given, raised = softmax[:, 1].copy(), np.nextafter(softmax[:, 1], np.float32(1))
    coins = np.random.default_rng(1).random(given.shape) < 0.5
    softmax[:, 1], softmax[:, 2] = np.where(coins, given, raised), np.where(coins, raised, given)
    labels, counts = kernels_answer(device, case, softmax, box)
    assert_is_scipys(labels, counts, case, softmax, box, tie=ARGMAX_TIE_ON_DEVICE)
    host, _ = hosts_answer(case, softmax, box)
    assert 0 < (host != labels).mean() < 0.5, "the bound is needed"


def test_near_ties_stay_ties(device):
    assert_near_ties_stay_ties(device)


def test_fused_and_flushed_near_ties_stay_ties(rounding_device):
    assert_near_ties_stay_ties(rounding_device)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("entry", [0, 1])
def test_one_probability_that_is_not_finite_is_found_by_both(device, bad, entry):
    case = Case("not finite", batch=2)
    softmax, box = case.softmax(), case.box()
    softmax[entry, 3, -1, -1, -1] = bad
    with pytest.raises(_host.NotFiniteError):
        hosts_answer(case, softmax, box)
    assert kernels_answer(device, case, softmax, box) == (None, None)


def test_float16_probabilities_below_its_least_normal_number_count(rounding_device):
    """2^-24 beats zero, with subnormals flushed too: float16's are none of float32's."""
    case = Case("half subnormals", half=True, size=(4, 4, 4), shape=(6, 6, 6), touches="all")
    softmax = np.zeros((1, 4, *case.size), np.float32)
    softmax[:, 2] = 2.0**-24
    labels, counts = kernels_answer(rounding_device, case, softmax, ((0, 0, 0), (5, 5, 5)))
    assert counts == (216 - 125, 0, 125, 0)
    assert (labels[:5, :5, :5] == 2).all()
